"""Figures of how models learn and what they tell: collapse, surprise, distances."""

from pathlib import Path

from matplotlib.figure import Figure

from common.figures.charts import Bars, Curves, panels
from common.figures.style import PALETTE, QUIET
from common.harness.results import read_results
from part5_action_planning.figures.cells import BANDS, Cell, curves, metrics_of, percent, rows_of
from part5_action_planning.report.tables import EVENTS, SPACES, TASKS

# fmt: off
CRITICAL = {"last": "at the goal, last step, %", "mean_std": "mean std of z",
            "effective_rank": "effective rank", "error_px_5": "5 steps ahead, px"}
HISTORY = {"two_frames": "history of two frames", "one_frame": "history of one frame"}
SHOWN = ("frames", "blurred_16", "dino_8", "vjepa_8", "lewm")  # spaces whose curves are drawn
BESIDE = ("lewm", "blurred_16", "blurred_8", "frames", "dino_8", "vjepa_8", "vit_random_8")
# fmt: on


def critical_figure(folder: Path) -> Figure:
    """Success, spread, rank and rollout error against SIGReg's weight, and the threshold."""
    sweeps = {"critical": "reach", "critical_fine": "reach", "critical_two_rooms": "two_rooms"}
    points: dict[str, list[tuple[str, float, Cell]]] = {metric: [] for metric in CRITICAL}
    for name, task in sweeps.items():
        for params, metrics in rows_of(folder, name):
            case = f"{TASKS[task]}, D = {params.get('model.embedding_dim', 16)}"  # two_rooms.yaml's
            for metric in ("mean_std",) if name == "critical_fine" else CRITICAL:
                cell = percent(metrics[metric]) if metric == "last" else metrics[metric]
                points[metric].append((case, params["loss_weights.sigreg_lambda"], cell))
    drawn = {metric: curves(points[metric]) for metric in CRITICAL}
    note = (
        f"{BANDS} Dashed, in the colour of their curve: where theory says, from the untrained "
        "encoder, that collapse ends. Dotted: 1 / k, enough for any encoder, says the theory. Two "
        "rooms: with temporal straightening, of which it knows nothing."
    )
    contents = [
        Curves(drawn[metric], "sigreg_lambda (r)", label, log_x=True,
               log_y=metric in ("mean_std", "error_px_5"))
        for metric, label in CRITICAL.items()
    ]  # fmt: skip
    fig = panels(contents, note=note, columns=2)
    lines = {
        f"{TASKS[params['task']]}, D = {params['model.embedding_dim']}": metrics
        for params, metrics in rows_of(folder, "threshold")
    }
    for ax in fig.axes:
        for case, color in zip(drawn["last"], PALETTE.values(), strict=False):
            predicted = lines[case]["predicted"]["mean"]
            ax.axvline(predicted, color=color, linewidth=1, linestyle="--", zorder=1)
        ax.axvline(lines["reach, D = 10"]["one_over_k"]["mean"], color=QUIET, linestyle=":")
        ticks = next(iter(drawn["last"].values()))["x"]
        ax.set_xticks(ticks, [f"{weight:g}" for weight in ticks])
    fig.axes[0].set_ylim(0, 100)
    fig.axes[1].set_ylim(1e-4, 2)
    fig.axes[1].set_yticks([1e-4, 1e-3, 0.01, 0.1, 1], ["0.0001", "0.001", "0.01", "0.1", "1"])
    fig.axes[3].set_ylim(1, 400)
    return fig


def surprise_figure(folder: Path) -> Figure:
    """AUROC of every impossible event, with a history of one frame and of two."""
    found = metrics_of(folder, "surprise")
    rows = {
        label: {name: found[n][f"{event}_auroc"] for n, name in HISTORY.items()}
        for event, label in EVENTS.items()
    }
    note = "One-step error of impossible clips against possible twins. Whiskers: 95% intervals."
    fig = panels([Bars(rows, "AUROC", {"chance": 0.5})], note=note)
    fig.axes[0].set_xlim(0, 1)
    return fig


def spaces_figure(folder: Path) -> Figure:
    """Distance in a space against px, and what true dynamics reach by it."""
    content = read_results(folder / "spaces.json")
    drawn = {SPACES[name]: content["curves"][name]["distance"] for name in SHOWN}
    rows = {
        SPACES[name]: {SPACES[name]: percent(content["variants"][name]["metrics"]["last"])}
        for name in BESIDE
    }
    note = (
        "Left: squared distance between what two places look like, as a share of its largest mean. "
        "Right: true dynamics that plan by it. Whiskers: 95% intervals; dots: single seeds."
    )
    contents = [
        Curves(drawn, "places apart, px", "distance in the space"),
        Bars(rows, "at the goal, %", limits=(0, 100)),
    ]
    others = dict.fromkeys([label for label in rows if label not in drawn], QUIET)
    return panels(contents, others, note, columns=2)
