"""What two or more parts of the series need: the world, the models, the losses, the bookkeeping.

Dependencies run one way: a part imports ``common`` and never another part; ``common`` imports no
part. Inside ``common``:

    the world     world <- simulator <- rendering <- futures, episodes (and distractors, collisions)
    the networks  encoders, predictors, heads, ema, vit: tensors in, tensors out;
                  frozen <- dinov3 (loaded from files or a hub) and feature_cache; weights/ ships
    the maths     losses, sigreg, dino <- distributed alone; masking, schedules;
                  metrics, probes, intervals
    figures/      charts, panels, frames: numbers in, figures out
    harness/      config, run directories, sweeps, results files, tables, claims; no networks
    commands      python -m common.sweep, python -m common.readme

Letters in shape comments, in every file:

    B  batch            T  time (frames)        C  channels (1 grey, 3 RGB)
    H  W  pixels        D  embedding            A  action
    N  balls, patches   K  hypotheses of z      M  random slices

Frames are float32 in [0, 1], channels first (uint8 in storage). Positions are in px, velocities
in px per frame, time in frames. x runs to the right, y runs down; pixel (i, j) covers the square
from (j, i) to (j + 1, i + 1).
"""
