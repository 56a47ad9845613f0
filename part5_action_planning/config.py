"""Every option of this part, and the streams of chance; what contradicts: config_checks.py."""

from collections.abc import Mapping
from enum import IntEnum
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from pydantic import Field

from common.distractors import Distractor
from common.harness.config import RunConfig, config, load_config, option
from common.schedules import stream
from common.world import World
from part5_action_planning.config_checks import check_config, check_elites, check_steps

PART = Path(__file__).resolve().parent
BASELINE = PART.parent / "configs" / "part5" / "baseline.yaml"
ACTION_DIM = 2
Weight = Annotated[float, Field(ge=0, le=1e6)]
SEARCHED = "task.kind=reach|two_rooms|bank_shot"  # tasks whose actions no list can hold
WORLD_MODELS = "method=lewm|pldm|pixel|dino_wm|vjepa2_ac"
WORDS = "method=words"
ENCODED = "method=lewm|pldm|pixel|cloning|cloning_gpt"
HIDDEN = f"{WORLD_MODELS}|cloning|cloning_gpt"


@config
class ModelConfig:
    """Sizes and kinds of the networks."""

    encoder: Literal["conv", "vit", "frozen"] = "conv"
    """conv, convolutions; vit, a small vision transformer; frozen, patch tokens, not trained."""
    frozen_encoder: str = option("dino", when="encoder=frozen")
    """Name of a frozen encoder, as in common/frozen.py."""
    frozen_weights: str = option("", when="encoder=frozen")
    """File or folder of its weights; empty for the shipped ones."""
    token_grid: int = option(4, ge=1, le=64, when="encoder=frozen")
    """Its patch tokens are averaged down to so many rows and columns."""
    embedding_dim: int = option(ge=1, le=4096, when=f"encoder=conv|vit & {ENCODED}")
    """D, the width of an embedding; a frozen encoder's tokens have their own."""
    history_length: int = option(ge=1, le=16, when=f"{WORLD_MODELS}|words|cloning")
    """Embeddings of the past, and the actions after them, that a prediction sees."""
    frame_skip: int = option(1, ge=1, le=100, when=WORLD_MODELS)
    """Steps from one of these frames to the next, and to the one that is predicted; the actions of
    these steps are read together."""
    predictor: Literal["mlp", "adaln", "block_causal"] = option("mlp", when=WORLD_MODELS)
    """adaln: causal attention over the history, the action in adaptive layer norm, as LeWorldModel;
    block_causal: over a frozen encoder's tokens of all frames of the history, as DINO-WM and V-JEPA
    2-AC. Where these are rolled out one step, all frames of a clip are predicted at once."""
    depth: int = option(2, ge=1, le=64, when="predictor=adaln|block_causal")
    """Their blocks of attention."""
    projector: bool = option(False, when="encoder=vit & predictor=adaln")
    """As LeWorldModel: the ViT has a class token, patches of 8 px, and width and depth of the
    predictor, and either ends in an MLP with batch norm."""
    hidden_dim: int = option(ge=1, le=16384, when=HIDDEN)
    """Width of the predictor's hidden layers."""
    width: float = option(1.0, ge=0.05, le=16, when=f"encoder=conv|vit & {ENCODED}")
    """Factor on the channels (32 and 64) of the convolutional encoder and decoder."""

    @property
    def span(self) -> int:
        """Frames from the oldest that a prediction sees to the newest, both of them counted."""
        return (self.history_length - 1) * self.frame_skip + 1


@config
class WordsConfig:
    """The method words: a codebook of patches, and a transformer that predicts a frame's words."""

    patch_size: int = option(16, ge=2, le=64, when=WORDS)
    """Side of the patch that one word stands for (px)."""
    num_words: int = option(512, ge=2, le=4096, when=WORDS)
    """Words in the codebook."""
    num_action_words: int = option(33, ge=2, le=1024, when=WORDS)
    """Words for either component of an action, evenly spaced between its bounds."""
    dim: int = option(96, ge=4, le=1024, when=WORDS)
    """Width of the transformer."""
    depth: int = option(3, ge=1, le=24, when=WORDS)
    """Its blocks."""
    num_heads: int = option(4, ge=1, le=64, when=WORDS)
    """Attention heads of a block."""
    words_at_once: int = option(4, ge=1, le=4096, when=WORDS)
    """Words of a past frame that are read as one vector; 1 is the plain transformer."""
    reader_hidden: int = option(384, ge=1, le=16384, when=WORDS)
    """Hidden width of the layer that reads them."""
    say: Literal["sample", "likeliest"] = option("likeliest", when=WORDS)
    """How a rollout goes on: each word drawn, or the likeliest one."""
    goal: Literal["frame", "place"] = option("frame", when=WORDS)
    """What the distance to the goal compares: the frames, as the pixel model's, or the places of
    the ball in them (their centres of what is white)."""


@config
class SequenceConfig:
    """The method cloning_gpt: a transformer over what was seen and done, of width hidden_dim."""

    context: int = option(8, ge=1, le=64, when="method=cloning_gpt")
    """Frames, and the actions between them, that it looks back on."""
    depth: int = option(3, ge=1, le=64, when="method=cloning_gpt")
    """Its blocks of attention."""


@config
class LossWeights:
    """Weights of the losses' terms; each method reads its own."""

    sigreg_lambda: Weight | Literal["auto"] = option(when="method=lewm")
    """Of SIGReg per sample beside the mean squared error (common/sigreg.py); auto: twice the one
    above which a model whose predictor is untrained spreads: 1.29."""
    num_slices: int = option(256, ge=1, le=65536, when="method=lewm")
    """Random directions of SIGReg, drawn afresh each step."""
    variance: float = option(1.0, ge=0, le=1e6, when="method=pldm")
    """Of VICReg's hinge on each dimension's standard deviation."""
    covariance: float = option(0.04, ge=0, le=1e6, when="method=pldm")
    """Of VICReg's squared off-diagonal covariances."""
    inverse: float = option(0.0, ge=0, le=1e6, when="method=pldm")
    """Of inverse dynamics, the action read from two neighbouring embeddings."""
    straightening: float = option(0.0, ge=0, le=1e6, when="method=lewm|pldm")
    """Of 1 - cosine of neighbouring steps in embedding space."""


@config
class DataConfig:
    """The episodes that a model learns from: random thrust, no goal."""

    num_train_episodes: int = option(ge=2, le=100_000)
    """How many."""
    smoothness: float = option(0.5, ge=0, le=1, when="task.kind=reach|two_rooms")
    """Of the random thrust: 0 is new each step, 1 never changes."""
    clip_length: int = option(ge=2, le=1000)
    """Frames that one training sample has, model.frame_skip steps apart."""


@config
class Task:
    """What counts as success, and when an agent may act."""

    kind: Literal["reach", "two_rooms", "bank_shot", "left_right"]
    """Be at the goal and stay (reach); the same through a door (two_rooms); push, then coast to
    where only a bounce leads (bank_shot); the posts' own step to the left or right (left_right)."""
    budget: int = option(60, ge=1, le=10_000)
    """Steps of an episode."""
    success_radius: float = option(3.0, gt=0, le=64)
    """The ball's distance to the goal that counts as reached (px)."""
    held_steps: int = option(5, ge=1, le=1000)
    """Last steps in all of which the ball must be there, for "held"."""
    min_distance: float = option(10.0, ge=0, le=512)
    """Least distance from start to goal (px), so that none starts solved."""
    thrust_steps: int = option(3, ge=1, le=1000, when="kind=bank_shot")
    """Steps in which the ball can be pushed; later actions do nothing."""

    def __post_init__(self) -> None:
        check_steps(self)

    @property
    def num_choices(self) -> int | None:
        """How many actions there are to choose from, where they are finitely many."""
        return 2 if self.kind == "left_right" else None


@config
class PlannerConfig:
    """How a plan is searched for; each planner reads its own."""

    kind: Literal["random", "cem", "icem", "mppi", "gradient"] = option("cem", when=SEARCHED)
    """Which planner."""
    horizon: int = option(ge=1, le=1000)
    """Blocks of actions ahead."""
    num_samples: int = option(128, ge=1, le=1_000_000, when=SEARCHED)
    """Candidates per iteration and episode; starts of the gradient planner."""
    num_iterations: int = option(6, ge=1, le=10_000, when=SEARCHED)
    """Rounds of sampling; steps of the gradient planner."""
    num_elites: int = option(16, ge=1, le=1_000_000, when=f"kind=cem|icem & {SEARCHED}")
    """Candidates that CEM and iCEM refit to, the best so many."""
    init_std: float = option(0.7, gt=0, le=10, when=SEARCHED)
    """Spread of the first candidates, as a share of half the bounds."""
    min_std: float = option(0.05, ge=0, le=10, when=f"kind=cem|icem|mppi & {SEARCHED}")
    """Least spread, as the same share: with one elite, or equal ones, it would be 0."""
    momentum: float = option(0.1, ge=0, lt=1, when=f"kind=cem|icem|mppi & {SEARCHED}")
    """Share of the old mean and spread that a refit keeps."""
    noise_beta: float = option(1.0, ge=0, le=8, when=f"kind=icem & {SEARCHED}")
    """Colour of the noise over time: 0 white, 2 a smooth walk."""
    keep_share: float = option(0.3, ge=0, le=1, when=f"kind=icem & {SEARCHED}")
    """Share of the elites that iCEM takes into the next iteration."""
    temperature: float = option(0.3, ge=1e-3, le=1e6, when=f"kind=mppi & {SEARCHED}")
    """In standard deviations of the costs; low is greedy, and wants a min_std such as 0.3."""
    step_size: float = option(0.1, gt=0, le=10, when=f"kind=gradient & {SEARCHED}")
    """Adam's, as a share of half the bounds."""

    def __post_init__(self) -> None:
        check_elites(self.kind, self.num_elites, self.num_samples)


@config
class CostConfig:
    """What a plan is charged for: the distance to the goal, in the model's state space."""

    when: Literal["last", "sum", "closest"] = "sum"
    """At the last predicted step, summed over all of them, or at the closest approach."""
    norm: Literal["squared_l2", "l1"] = "squared_l2"
    """The squared distance, or the sum of absolute differences."""
    action_repeat: int = option(1, ge=1, le=100)
    """Steps that each planned action is held, a block."""
    replan_every: int = option(1, ge=1, le=1000)
    """Planned steps that are carried out before planning anew."""


@config
class EvaluationConfig:
    """The closed loop that a number comes from."""

    split: Literal["validation", "test"] = "test"
    """Episodes that choices are made on, or those that are reported."""
    num_test_episodes: int = option(ge=1, le=100_000)
    """How many, the same for every model and seed."""
    num_ranked_states: int = option(200, ge=1, le=10_000)
    """States in which predicted costs are ranked against true ones."""
    num_ranked_candidates: int = option(256, ge=2, le=100_000)
    """Action sequences that are ranked in each."""
    num_heldout_episodes: int = option(64, ge=4, le=10_000)
    """Recorded episodes for probes and rollout errors."""
    num_surprise_clips: int = option(0, ge=0, le=100_000)
    """Clips of each impossible event, and as many controls; 0 leaves them out."""


@config
class Config(RunConfig):
    """One run of part 5: one world model, on one task, with one planner."""

    method: Literal[
        "lewm", "pldm", "vjepa2_ac", "dino_wm", "pixel", "words", "cloning", "cloning_gpt", "oracle"
    ]
    """The loss. lewm, next embedding + SIGReg (LeWorldModel's); pldm, next embedding + VICReg +
    inverse dynamics; vjepa2_ac, L1 on frozen tokens, teacher forcing and rollout (V-JEPA 2-AC's);
    dino_wm, squared error on frozen tokens (DINO-WM's); pixel, next frame; words, the next
    frame's words by likelihood; cloning, no world model: the action that led to what was seen
    later; cloning_gpt, the same by a transformer over what was seen and done before; oracle, the
    true dynamics, untrained."""
    rollout: int = option(ge=1, le=1000, when=WORLD_MODELS)
    """Steps predicted in training, each from the prediction before."""
    model: ModelConfig
    words: WordsConfig = WordsConfig()
    sequence: SequenceConfig = SequenceConfig()
    loss_weights: LossWeights
    data: DataConfig
    task: Task
    planner: PlannerConfig
    cost: CostConfig
    evaluation: EvaluationConfig
    world: World
    distractor: Distractor
    figures: bool = True
    """Draw the run's figures at the end; sweeps, whose runs nobody looks at, do not."""

    def __post_init__(self) -> None:
        check_config(self)


def task_config(task: str, overrides: Mapping[str, Any] | None = None) -> Config:
    """The config of the default world model on a task, with dotted overrides."""
    files = [BASELINE, *([] if task == "reach" else [BASELINE.with_name(f"{task}.yaml")])]
    return load_config(Config, files, overrides)


class Stream(IntEnum):
    """What a run draws chance for; each has its own generator, from the run's seed."""

    TRAIN_DATA = 1
    CLIPS = 4
    SLICES = 5
    PLANNER = 6
    RANKED_CANDIDATES = 7
    GREEDY = 8
    CODEBOOK = 10
    SAMPLES = 11
    ASIDE = 9  # a figure's search, a study's disturbance: nothing that a run's numbers need


class SharedStream(IntEnum):
    """What is drawn the same for every seed, apart by split: what models are scored on."""

    TEST_EPISODES = 1
    HELDOUT_DATA = 2
    RANKED_DATA = 3
    RANDOM_AGENT = 4
    SURPRISE = 5


def generator(cfg: Config, purpose: Stream, device: torch.device | str = "cpu") -> torch.Generator:
    """The stream of chance for one purpose of a run."""
    return stream(cfg.seed, purpose, device)


def shared_generator(cfg: Config, purpose: SharedStream) -> torch.Generator:
    """The same for every seed and device: the evaluation's own."""
    return stream(-1, 10 * purpose + (cfg.evaluation.split == "test"))
