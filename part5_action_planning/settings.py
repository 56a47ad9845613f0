"""The groups of knobs of this part's config: names, meanings and ranges."""

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class ModelConfig:
    """Sizes and kinds of the networks.

    Args:
        encoder: conv, a convolutional encoder of one frame; vit, a small vision transformer;
            frozen, patch tokens of the encoder named by frozen_encoder, not trained.
        frozen_encoder: name of a frozen encoder, as in common/frozen.py.
        frozen_weights: file or folder of its weights; empty for the shipped ones.
        token_grid: its patch tokens are averaged down to so many rows and columns.
        embedding_dim: D, the width of an embedding; a frozen encoder's tokens have its own.
        history: embeddings of the past, and the actions after them, that a prediction sees.
        predictor: mlp on history and action; adaln, causal attention over the history, with the
            action entering through adaptive layer norm as in LeWorldModel; attention, over the
            patch tokens of a frozen encoder.
        hidden_dim: width of the predictor's hidden layers.
        width: factor on the encoder's two convolutions.
    """

    encoder: Literal["conv", "vit", "frozen"]
    frozen_encoder: str
    frozen_weights: str
    token_grid: int = field(metadata={"min": 1, "max": 64})
    embedding_dim: int = field(metadata={"min": 1, "max": 4096})
    history: int = field(metadata={"min": 1, "max": 16})
    predictor: Literal["mlp", "adaln", "attention"]
    hidden_dim: int = field(metadata={"min": 1, "max": 16384})
    width: float = field(metadata={"min": 0.05, "max": 16.0})


@dataclass(frozen=True)
class WeightsConfig:
    """Weights of the losses' terms; each objective reads its own.

    Args:
        sigreg_weight: r, of SIGReg per sample beside the mean squared error: LeWorldModel's lambda
            times its batch (0.09 x 128 = 11.5), so that a change of batch changes nothing.
        num_slices: random directions of SIGReg, drawn afresh each step.
        variance_weight: of VICReg's hinge on each dimension's standard deviation.
        covariance_weight: of VICReg's squared off-diagonal covariances.
        inverse_weight: of inverse dynamics, the action read from two neighbouring embeddings.
        straightening_weight: of 1 - cosine of neighbouring steps in embedding space.
    """

    sigreg_weight: float = field(metadata={"min": 0.0, "max": 1e6})
    num_slices: int = field(metadata={"min": 1, "max": 65536})
    variance_weight: float = field(metadata={"min": 0.0, "max": 1e6})
    covariance_weight: float = field(metadata={"min": 0.0, "max": 1e6})
    inverse_weight: float = field(metadata={"min": 0.0, "max": 1e6})
    straightening_weight: float = field(metadata={"min": 0.0, "max": 1e6})


@dataclass(frozen=True)
class DataConfig:
    """The episodes that a model learns from: random thrust, no goal.

    Args:
        train_episodes: how many.
        smoothness: of the random thrust: 0 is new each step, 1 never changes.
        clip_length: neighbouring frames that one training sample has.
    """

    train_episodes: int = field(metadata={"min": 2, "max": 100_000})
    smoothness: float = field(metadata={"min": 0.0, "max": 1.0})
    clip_length: int = field(metadata={"min": 2, "max": 1000})


@dataclass(frozen=True)
class CostConfig:
    """What a plan is charged for: the distance to the goal, in the model's state space.

    Args:
        when: at the last imagined step, summed over all of them, or at the closest approach.
        norm: l2 is the squared distance, l1 the sum of absolute differences.
        repeat: steps that each planned action is held; the planner's horizon counts such blocks.
        execute: planned steps that are carried out before planning anew.
    """

    when: Literal["last", "sum", "closest"]
    norm: Literal["l2", "l1"]
    repeat: int = field(metadata={"min": 1, "max": 100})
    execute: int = field(metadata={"min": 1, "max": 1000})


@dataclass(frozen=True)
class EvaluationConfig:
    """The closed loop that a number comes from.

    Args:
        split: episodes that choices are made on, or those that are reported.
        episodes: how many, the same for every model and seed.
        ranked_states: states in which imagined costs are ranked against true ones.
        ranked_candidates: action sequences that are ranked in each.
        heldout_episodes: recorded episodes for probes and rollout errors.
        surprise_clips: clips of each impossible event, and as many controls; 0 leaves them out.
    """

    split: Literal["validation", "test"]
    episodes: int = field(metadata={"min": 1, "max": 100_000})
    ranked_states: int = field(metadata={"min": 1, "max": 10_000})
    ranked_candidates: int = field(metadata={"min": 2, "max": 100_000})
    heldout_episodes: int = field(metadata={"min": 4, "max": 10_000})
    surprise_clips: int = field(metadata={"min": 0, "max": 100_000})
