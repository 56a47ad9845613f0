"""The claims of the post, and three of ours, with what decides each."""

from common.harness.claims import Claim, Results


def below_lewm(r: Results, rival: str, *files: str) -> bool:
    """Whether the rival's success, less LeWorldModel style's and paired by seed, is below 0."""
    return all(r[file][rival]["differences.last"].high < 0 for file in files)


def slower_and_worse(r: Results, rival: str) -> bool:
    slower = r["expensive"][rival]["differences.ms_per_step"].low > 0
    return slower and below_lewm(r, rival, "expensive")


def distance_is_at_fault(r: Results) -> bool:
    """Whether true dynamics do no better by a rival's distance, and well by the learnt one."""
    pairs = {"frames": "pixel", "dino_4": "dino_wm", "vjepa_4": "vjepa2_ac"}
    true, learnt = (
        [r[file][row]["last"].mean for row in rows]
        for file, rows in (("spaces", pairs.keys()), ("expensive", pairs.values()))
    )
    no_better = all(one <= other for one, other in zip(true, learnt, strict=True))
    return no_better and r["spaces"]["lewm"]["last"].mean >= 0.95


def encoder_line_wins(r: Results) -> bool | None:
    found = r["critical_agreement"]["all"]
    better = found["right_encoder"].mean > found["right_constant"].mean
    return better if found["mcnemar_p"].mean < 0.05 else None


def smallest_is_best(r: Results) -> bool:
    cases = [r["critical_agreement"][f"reach, D = {size}"] for size in (4, 10, 32)]
    return not any(case["last_gain"].low > 0 for case in cases)


# fmt: off
CLAIMS = [
    Claim("An agent plans well inside a JEPA that is told its actions.",
        "reach: at the goal at the last step in at least 97% of the episodes, held in at least 93%",
        "holds",
        "On reach it is at the goal in {reach[lewm][last]:%1} of the episodes, and stays there in "
        "{reach[lewm][held]:%1}; random thrust {reach[random][last]:%1}.",
        lambda r: r["reach"]["lewm"]["last"].mean >= 0.97
        and r["reach"]["lewm"]["held"].mean >= 0.93),
    Claim("Planning beats imitating random play where momentum or a wall must be foreseen.",
        "reach, two rooms: cloning's success less the model's, paired by seed, is below 0", "holds",
        "Cloning the same data succeeds in {reach[cloning][last]:%0} on reach, where it arrives "
        "but does not brake, and in {two_rooms[cloning][last]:%0} in two rooms.",
        lambda r: below_lewm(r, "cloning", "reach", "two_rooms")),
    Claim("An agent needs a world model to reach its goals.",
        "the same difference is below 0 on all four tasks", "fails",
        "Where an action is a step left or right, cloning succeeds in "
        "{left_right[cloning][last]:%0} of the episodes too.",
        lambda r: below_lewm(r, "cloning", "reach", "two_rooms", "bank_shot", "left_right")),
    Claim("It plans around a wall.",
        "two rooms: at the goal at the last step in at least 90% of the episodes", "holds",
        "{two_rooms[lewm][last]:%0}; with the true dynamics {two_rooms[oracle][last]:%0}.",
        lambda r: r["two_rooms"]["lewm"]["last"].mean >= 0.9),
    Claim("It plans a bank shot.",
        "bank shot: at the goal at the last step in at least 80% of the episodes", "fails",
        "{bank_shot[lewm][last]:%0}, with the true dynamics {bank_shot[oracle][last]:%0}: not the "
        "search, the model. True dynamics made wrong by 0.05 px a step succeed in "
        "{precision[bank_shot-e0.05][last]:%0}, by 0.5 px in {precision[bank_shot-e0.5][last]:%0}.",
        lambda r: r["bank_shot"]["lewm"]["last"].mean >= 0.8),
    Claim("Planning on end-to-end embeddings beats planning on frames compared by squared error.",
        "on a budget: the pixel model's success less the other's, paired by seed, is below 0",
        "holds",
        "{expensive[lewm][last]:%1} against {expensive[pixel][last]:%1}.",
        lambda r: below_lewm(r, "pixel", "expensive")),
    Claim("By a rival's distance not even the true dynamics plan better (ours).",
        "on a budget: true dynamics with the distance of frames, of DINO's, of V-JEPA's tokens "
        "reach no more goals than the learnt model, in the mean over the same seeds; with "
        "LeWorldModel style's 95% or more", "holds",
        "They reach {spaces[frames][last]:%0} by that of frames, {spaces[dino_4][last]:%0} and "
        "{spaces[vjepa_4][last]:%0} by those tokens', {spaces[blurred_16][last]:%0} by that of "
        "frames blurred by 16 px, {spaces[lewm][last]:%0} by the embedding's that is learnt end "
        "to end.",
        distance_is_at_fault),
    Claim("A small end-to-end model plans better and faster than one MLP on frozen tokens.",
        "on a budget: both token models, paired by seed, have less success and take longer",
        "holds",
        "{expensive[lewm][last]:%1} at {expensive[lewm][ms_per_step]:.1f} ms a step; DINO tokens "
        "{expensive[dino_wm][last]:%1} at {expensive[dino_wm][ms_per_step]:.0f} ms, V-JEPA tokens "
        "{expensive[vjepa2_ac][last]:%1} at {expensive[vjepa2_ac][ms_per_step]:.0f} ms.",
        lambda r: slower_and_worse(r, "dino_wm") and slower_and_worse(r, "vjepa2_ac")),
    Claim("LeWorldModel plans 48 times faster than DINO-WM, or more.",
        "published sizes, this CPU: a whole plan is at least 48 times faster, extrapolated",
        "holds",
        "At the published sizes {planning_time[ratio][plan_seconds]:.0f} times on a CPU, "
        "extrapolated, with {planning_time[ratio][gflop_per_step]:.0f} times fewer operations.",
        lambda r: r["planning_time"]["ratio"]["plan_seconds"].mean >= 48),
    Claim("A world model is surprised by a teleport.",
        "AUROC of the prediction error on teleports against their real twins at least 0.99",
        "holds",
        "AUROC (chance: 0.5) {surprise[two_frames][teleport_auroc]:.3f}; flight through a wall "
        "{surprise[two_frames][wall_auroc]:.2f}, a new colour "
        "{surprise[two_frames][colour_auroc]:.2f}, reversed velocity "
        "{surprise[two_frames][flip_auroc]:.2f}.",
        lambda r: r["surprise"]["two_frames"]["teleport_auroc"].mean >= 0.99),
    Claim("An untrained encoder tells which weight of SIGReg prevents collapse (ours).",
        "its threshold is right for more runs than 1 / k, McNemar's p < 0.05; fails if for fewer",
        "fails",
        "Its threshold is right for {critical_agreement[all][right_encoder]:%0} of the runs; 1 / "
        "1.546 = 0.65, which needs no encoder, for {critical_agreement[all][right_constant]:%0}.",
        encoder_line_wins),
    Claim("The smallest weight that never collapses plans best (ours).",
        "reach: at no size is success at the best weight, paired by seed, above the smallest's",
        "fails",
        "In 4 dimensions it reaches {critical_agreement[reach, D = 4][last_smallest]:%0} of the "
        "goals, the best weight {critical_agreement[reach, D = 4][last_best]:%0}; in 10 and 32 no "
        "weight is shown to be better.",
        smallest_is_best),
    Claim("SIGReg at weight 0.1 prevents collapse without help (ours).",
        "two rooms, r = 0.1: the mean std is not above 0.1 with straightening and below without",
        "fails",
        "In two rooms embeddings vary by {critical_no_straightening[d16-r0.1][mean_std]:.4f} "
        "(standard deviation), with a third loss, which straightens their paths, by "
        "{critical_two_rooms[d16-r0.1][mean_std]:.2f}.",
        lambda r: r["critical_two_rooms"]["d16-r0.1"]["mean_std"].mean < 0.1
        or r["critical_no_straightening"]["d16-r0.1"]["mean_std"].mean > 0.1),
]
