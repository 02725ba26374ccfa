# %% [markdown]
# # 1. Look at the data
#
# **What does a data set hold, what is wrong in it, and how far is it from the photos it stands for?** Before anything is
# trained: pictures, counts by size, angle, script and place, photos that are there twice, walls that stand in two splits,
# and labels that are probably wrong, the most suspicious first.
#
# Takes about a minute (`tiny`), ten minutes (`laptop`) or an hour (`gpu`), most of it for making the walls.
#
# One variable sets the size of all notebooks: start Jupyter with `TAGTRACE_NOTEBOOK=laptop`, or write `scale_of("laptop")`
# below.

# %%
import shutil
from dataclasses import asdict

from IPython.display import Image, Markdown, display

from tagtrace.datasets.checks import check_between, check_set, summary
from tagtrace.datasets.formats.convert import read_set
from tagtrace.datasets.overview import overview
from tagtrace.datasets.plots import draw_overview, draw_photos, legend
from tagtrace.training.evaluate import Plan, score_truth
from tagtrace.training.gap import GapSettings, measure_gap
from tagtrace.training.gap_report import report_text, write_gap
from tagtrace.training.notebook import folder_of, make_walls, sample_set, scale_of
from tagtrace.training.predictions import read_predictions
from tagtrace.training.rehearsal import spoil
from tagtrace.training.report_text import table
from tagtrace.training.suspicious import suspicious, write_suspicion_sheets

SCALE = scale_of()
FOLDER = folder_of(SCALE)
WALLS = make_walls(FOLDER, SCALE, print)
SAMPLE = sample_set()
OUT = FOLDER / "look"
shutil.rmtree(OUT, ignore_errors=True)

# %% [markdown]
# ## The pictures
# Generated walls first, then the sample: path-traced adverts on 3-D walls, which no training sees.

# %%
train, sample = read_set(WALLS.train), read_set(SAMPLE)
display(Markdown(legend()))
display(draw_photos(train, WALLS.train / "photos"), draw_photos(sample, SAMPLE / "photos"))

# %% [markdown]
# ## What is in them
# A recogniser learns what it sees often. Thin bars are where it will be weak: few small lines, few steep angles, little
# Kazakh.

# %%
views = [
    "photos by place",
    "photos by camera angle",
    "adverts by style",
    "lines by kind",
    "lines by height",
    "lines by angle",
    "lines by script",
    "lines by legibility",
]
found = overview(train)
print(f"{found.photos} photos, {found.negatives} of them without an advert; {found.lines} lines, {found.legible} legible")
draw_overview(found, views)

# %%
draw_overview(overview(sample), views)

# %% [markdown]
# ## What is wrong
# Every problem has a file and a line. Two sets are checked together, because what leaks from one into the other makes every
# figure too good: the same wall, shop, contact or picture on both sides.

# %%
checked = {"train": check_set(WALLS.train), "val": check_set(WALLS.val)}
problems = [problem for part in checked.values() for problem in part.problems] + check_between(checked)
print(f"{len(problems)} problems in {sum(len(part.photos) for part in checked.values())} photos", dict(summary(problems)))

# %% [markdown]
# Nothing is wrong here, so let us see that mistakes are found. `spoil` copies the validation photos with four that happen
# when people label: a photo that is there again, smaller and recompressed; a text typed wrong; a line forgotten; corners in
# a wrong order.

# %%
spoilt = spoil(WALLS.val, OUT / "spoilt")
for what, of in asdict(spoilt).items():
    print(f"{what}: {of}")
broken = check_set(OUT / "spoilt")
rows = [(p.severity, p.code, p.where.rsplit("/", 1)[-1], p.message) for p in broken.problems]
Markdown(table(("severity", "code", "where", "what"), rows, left=4))

# %%
leaks = check_between({"val": checked["val"], "spoilt copy": broken})
print(f"{len(leaks)} things stand in both sets, for example:")
for problem in leaks[:3]:
    print(" ", problem.code, problem.message)

# %% [markdown]
# ## Labels that are probably wrong
# No check of form finds a text that is typed wrong or a line that was forgotten. The models do: where they surely read
# something else than the label says, one of the two is wrong. A person looks, the most suspicious first.

# %%
listed = read_set(OUT / "spoilt")
plan = Plan(photos_dir=OUT / "spoilt" / "photos", out=OUT / "scored", workers=SCALE.workers)
ranked = suspicious(listed, read_predictions(score_truth(listed, plan, print)))
head = ("suspicion", "what", "photo", "label", "read")
Markdown(table(head, [(i.suspicion, i.doubt, i.photo, i.labelled, i.read) for i in ranked[:8]], left=5))

# %%
for sheet in write_suspicion_sheets(ranked[:12], OUT / "spoilt" / "photos", OUT):
    print(sheet.stem)
    display(Image(filename=str(sheet)))

# %% [markdown]
# ## How far from the streets
# A classifier that tells generated lines from those of the sample says how far apart they are (AUC 0.5: not at all), and
# the statistics say in what. With the few photos of `tiny` the intervals are as wide as the scale;
# `training/EXPERIMENTS.md` has the figures of hundreds. Nothing is tuned on the sample: the gap says where the generator
# needs work.

# %%
settings = GapSettings(resamples=60 if SCALE.name == "tiny" else 300, repeats=1 if SCALE.name == "tiny" else 4)
gap = measure_gap(WALLS.val, SAMPLE, settings)
display(Markdown(report_text(gap, "val", "sample").replace("# ", "### ")))
write_gap(gap, OUT / "gap", "val", "sample")
Image(filename=str(OUT / "gap" / "effects.png"))

# %%
for name in ("lines_like_a", "lines_like_b"):
    print({"lines_like_a": "what gives the generator away", "lines_like_b": "what gives the sample away"}[name])
    display(Image(filename=str(OUT / "gap" / f"{name}.png")))

# %% [markdown]
# ## What next
# - Something wrong in your own set? `tagtrace dataset validate SET` names it all; `tagtrace dataset suspicious` ranks the
#   labels; `tagtrace dataset dedup --remove` lists what to take out; `tagtrace dataset split` divides without leaks.
# - Thin bars? Make more of that with `tagtrace synth`, or label photos of it: notebook 5 says which.
# - Then train: the detector in notebook 2, the recogniser in notebook 3.
