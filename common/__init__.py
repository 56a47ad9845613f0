"""What two or more parts of the series need: the world, the models, the losses, the bookkeeping.

Dependencies run one way: a part imports ``common`` and never another part; ``common`` imports no
part. Inside ``common``:

    the world     world <- simulator <- rendering <- futures, data (and distractors, contacts)
    the models    encoders, decoders, predictors, heads, teacher, vit: tensors in, tensors out;
                  frozen <- dinov3 (loaded from files or a hub) and feature_cache
    the maths     losses, sigreg, dino, gram <- distributed alone; metrics, probes, intervals,
                  schedules, masking, clusters
    bookkeeping   strict_yaml, knobs <- config <- files, checkpoints, guards, provenance <- runs;
                  results <- collect, jobs <- sweep; plots <- strips, grids

``plots`` and ``runs`` know no models. ``tests/test_imports.py`` holds all this.

Letters in shape comments, in every file:

    B  batch            T  time (frames)        C  channels (1 grey, 3 RGB)
    H  W  pixels        D  embedding            A  action
    N  balls, patches   K  hypotheses of z      M  random slices

Frames are float32 in [0, 1], channels first (uint8 in storage). Positions are in px, velocities
in px per frame, time in frames. x runs to the right, y runs down; pixel (i, j) covers the square
from (j, i) to (j + 1, i + 1).
"""
