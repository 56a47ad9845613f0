"""What a ``config.Config`` is refused for that no option's range says; each raises ValueError."""

from typing import Any

MAX_SEQUENCES = 2**20  # that enumeration agrees to try


def require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise ValueError(otherwise)


def check_elites(kind: str, elites: int, samples: int) -> None:
    require(
        kind not in ("cem", "icem") or elites <= samples,
        f"num_elites {elites} is more than num_samples {samples}: use at most {samples}",
    )


def check_steps(task: Any) -> None:
    for name in ("held_steps", "thrust_steps")[: 1 + (task.kind == "bank_shot")]:
        steps, most = getattr(task, name), task.budget
        require(steps <= most, f"task.{name} {steps} is more than the budget of {most} steps")


def check_config(cfg: Any) -> None:
    """Of options in different groups."""
    for check in (check_task, check_data, check_plan, check_model, check_words):
        check(cfg)


def check_task(cfg: Any) -> None:
    """That the world fits the task."""
    kind, world = cfg.task.kind, cfg.world
    require(
        world.num_balls == 1 and world.wall != "stochastic",
        f"task {kind} steers one ball that the dynamics alone decide about: set world.num_balls "
        f"to 1 (got {world.num_balls}) and world.wall to reflect or turn_back (got {world.wall})",
    )
    if kind == "left_right":
        speeds = list(world.speeds)
        return require(
            world.axes == 1 and world.max_thrust == 0 and len(speeds) == 1,
            "task left_right moves the ball by one speed: it needs world.axes 1, world.max_thrust "
            f"0 and one of world.speeds, got {world.axes}, {world.max_thrust:g} and {speeds}",
        )
    require(
        kind == "reach" or world.door_width > 0,
        f"task {kind} needs an inner wall: set world.door_width above 0",
    )
    require(world.max_thrust > 0, f"task {kind} needs an action: set world.max_thrust above 0")
    require(
        world.speeds == (0.0,),
        f"task {kind} starts from rest: set world.speeds to [0.0], got {list(world.speeds)}",
    )


def check_data(cfg: Any) -> None:
    """That clips and episodes are long enough for what reads them."""
    history, length = cfg.model.history_length, cfg.data.clip_length
    rollout = 1 if cfg.method in ("words", "cloning", "cloning_gpt") else cfg.rollout
    frames, longest, skip = cfg.task.budget + 1, cfg.world.episode_length, cfg.model.frame_skip
    require(
        length >= history + rollout,
        f"data.clip_length {length} is too short for a history of {history} and a rollout of "
        f"{rollout}: use {history + rollout} or more",
    )
    forced = cfg.model.predictor == "block_causal" or (
        cfg.model.predictor == "adaln" and rollout == 1 and cfg.method in ("lewm", "pldm")
    )
    require(
        not forced or length == history + rollout,
        f"data.clip_length {length} is longer than what model.predictor {cfg.model.predictor} "
        f"learns from at once, a history of {history} and a rollout of {rollout}: use "
        f"{history + rollout}",
    )
    require(
        length > 2 or not cfg.loss_weights.straightening,
        f"data.clip_length {length} has no frame between two others, as loss_weights.straightening "
        "needs: use 3 or more",
    )
    require(
        (length - 1) * skip < longest,
        f"data.clip_length {length} is longer than an episode: use at most "
        f"{(longest - 1) // skip + 1}, of world.episode_length {longest} and model.frame_skip "
        f"{skip}",
    )
    require(
        cfg.task.kind != "bank_shot" or longest >= frames,
        "bank_shot pushes only at the start, so recorded episodes must last as long as its budget: "
        f"set world.episode_length to {frames} or more",
    )


def check_plan(cfg: Any) -> None:
    """That plans fit into the episode, and that there are few enough sequences to try all."""
    task, horizon, held = cfg.task, cfg.planner.horizon, cfg.cost.action_repeat
    ahead, choices, skip = horizon * held, task.num_choices or 0, cfg.model.frame_skip
    require(
        held % skip == 0,
        f"cost.action_repeat {held} ends between two frames of the model: use a multiple of "
        f"model.frame_skip, {skip}",
    )
    require(
        skip == 1 or task.kind != "bank_shot",
        f"model.frame_skip {skip} does not fit bank_shot, whose coast may last any number of "
        "steps: use 1",
    )
    require(
        task.kind != "bank_shot" or task.thrust_steps % held == 0,
        f"cost.action_repeat {held} holds a push beyond task.thrust_steps {task.thrust_steps}, "
        "where pushes do nothing: use a divisor of it",
    )
    require(
        ahead <= task.budget,
        f"planner.horizon {horizon} x cost.action_repeat {held} looks {ahead} steps ahead, but "
        f"task.budget is {task.budget}: use at most that",
    )
    require(
        choices**horizon <= MAX_SEQUENCES,
        f"task {task.kind} is planned by trying every sequence, and {choices} choices over "
        f"planner.horizon {horizon} are more than {MAX_SEQUENCES:,}: use a shorter horizon",
    )
    require(
        cfg.cost.replan_every <= ahead,
        f"cost.replan_every {cfg.cost.replan_every} carries out more steps than are planned: use "
        f"at most planner.horizon x cost.action_repeat, {ahead}",
    )


def check_model(cfg: Any) -> None:
    """That networks fit the world, the method and each other."""
    model, tokens, size = cfg.model, cfg.method in ("vjepa2_ac", "dino_wm"), cfg.world.size
    require(
        model.frame_skip == 1 or cfg.method not in ("cloning", "cloning_gpt", "words"),
        f"model.frame_skip {model.frame_skip} does not fit {cfg.method}, which takes every step: "
        "use 1",
    )
    require(
        model.frame_skip == 1 or not cfg.evaluation.num_surprise_clips,
        f"model.frame_skip {model.frame_skip} does not predict the frame after an event: use 1, or "
        "evaluation.num_surprise_clips 0",
    )
    require(
        size % 16 == 0,
        f"the encoder needs world.size divisible by 16, got {size}: use "
        f"{16 * max(1, round(size / 16))}",
    )
    require(
        tokens == (model.encoder == "frozen"),
        f"method {cfg.method} and model.encoder {model.encoder} do not fit: vjepa2_ac and dino_wm "
        "predict a frozen encoder's tokens, no other method does",
    )
    require(
        not model.projector or (model.encoder, model.predictor) == ("vit", "adaln"),
        "model.projector is LeWorldModel's, for model.encoder vit and model.predictor adaln: got "
        f"{model.encoder} and {model.predictor}",
    )
    require(
        model.predictor == "mlp" or model.hidden_dim % 16 == 0,
        f"model.predictor {model.predictor} has a head for every 16 of model.hidden_dim: use a "
        f"multiple of 16, got {model.hidden_dim}",
    )
    require(
        model.predictor != ("adaln" if tokens else "block_causal"),
        f"model.predictor {model.predictor} does not predict what {cfg.method} has as its state: "
        f"use mlp or {'block_causal' if tokens else 'adaln'}",
    )
    require(
        cfg.method != "cloning_gpt" or model.hidden_dim % 16 == 0,
        f"method cloning_gpt has a head for every 16 of model.hidden_dim: use a multiple of 16, "
        f"got {model.hidden_dim}",
    )


def check_words(cfg: Any) -> None:
    """Of methods that are language models: of frames, or of what was seen and done."""
    words, sequence, size = cfg.words, cfg.sequence, cfg.world.size
    if cfg.method == "words":
        require(
            size % words.patch_size == 0,
            f"a frame of {size} px cannot be cut into patches of {words.patch_size} px: "
            "words.patch_size must divide world.size",
        )
        count = (size // words.patch_size) ** 2
        require(
            count % words.words_at_once == 0,
            f"words.words_at_once {words.words_at_once} must divide the {count} words of a frame",
        )
        require(
            words.dim % words.num_heads == 0,
            f"words.dim {words.dim} must be divisible by words.num_heads {words.num_heads}",
        )
        is_white = cfg.distractor.kind == "none" and cfg.world.brightness == (1.0, 1.0)
        require(
            words.goal == "frame" or is_white,
            "words.goal place takes what is white for the ball: use distractor.kind none and "
            "world.brightness [1.0, 1.0]",
        )
        require(
            cfg.planner.kind != "gradient",
            "planner.kind gradient needs a gradient, which words have not: use another",
        )
    require(
        cfg.method != "cloning_gpt" or cfg.data.clip_length > sequence.context,
        f"data.clip_length {cfg.data.clip_length} has no goal behind a sequence.context of "
        f"{sequence.context} frames: use {sequence.context + 1} or more",
    )
