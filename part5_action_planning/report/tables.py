"""The tables of this part, as data."""

from common.harness.tables import Column, Table

RUN_TABLE = Table(
    "reach",
    {},
    {
        "last": Column("last step, %", 1, 100),
        "held": Column("held, %", 1, 100),
        "ever": Column("ever, %", 1, 100),
        "last_distance_px": Column("distance, px", 1),
        "rank_correlation": Column("rank corr.", 2),
        "position_r2": Column("position R²", 3),
        "error_px_5": Column("5 steps, px", 1),
        "ms_per_step": Column("ms / step", 1),
    },
    bounds={"random": "(random thrust)", "do_nothing": "(do nothing)"},
)
