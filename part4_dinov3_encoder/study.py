"""Part 4's side experiments: without a name they are listed; each writes results/<name>.json.

python part4_dinov3_encoder/study.py references
python part4_dinov3_encoder/study.py methods --jobs 2
"""

from common.harness.errors import run_script
from common.harness.study import Study, study_main
from part4_dinov3_encoder.config import PART

HERE = "part4_dinov3_encoder.studies"
STUDIES = {
    "references": Study("what do raw pixels and an untrained ViT tell?", f"{HERE}.references:main"),
    "tracking": Study("how well does each encoder follow the ball?", f"{HERE}.tracking:main"),
    "growth": Study("what does an encoder know after how many pictures?", f"{HERE}.growth:main"),
    "likeness": Study("does hover.py show more than colour?", f"{HERE}.likeness:main"),
    "publish": Study("no experiment: ships four encoders of length", f"{HERE}.publish:main"),
}

if __name__ == "__main__":
    run_script(lambda: study_main(PART, STUDIES, __doc__))
