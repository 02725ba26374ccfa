# %% [markdown]
# # 2. Train the detector
#
# **Does more training on these photos find more lines, and which are still missed?** From a few steps on a laptop to a
# night on a GPU by one setting; with live curves; stopped on purpose and gone on with; measured against the detector in
# use, with pictures of the misses.
#
# Takes about a minute (`tiny`), two hours (`laptop`, two cores) or a night (`gpu`).

# %%
import shutil

from IPython.display import Image, Markdown, display

from tagtrace.datasets.formats.convert import read_set
from tagtrace.models.registry import Task, resolve
from tagtrace.training.curves import draw_curves, live_curves, read_metrics
from tagtrace.training.detector import can_resume, train_detector
from tagtrace.training.evaluate_parts import evaluate_model
from tagtrace.training.export import ExportSettings, export_to_onnx
from tagtrace.training.misses import write_sheets
from tagtrace.training.notebook import DETECTOR, detector_run, folder_of, make_walls, quiet_ultralytics, scale_of
from tagtrace.training.runs import plain_settings
from tagtrace.training.views import found_table, slices_plot

SCALE = scale_of()
FOLDER = folder_of(SCALE)
WALLS = make_walls(FOLDER, SCALE, print)
OUT = FOLDER / DETECTOR
shutil.rmtree(OUT, ignore_errors=True)
quiet_ultralytics()
CURVES = ("box_loss", "cls_loss", "angle_loss", "lr0", "map50", "recall")

# %% [markdown]
# ## The settings
# All of a run is one typed object (`training/detector_settings.py`), here from the size chosen above. Change a field with
# `dataclasses.replace`, or keep a TOML file and use `tagtrace train detector --config`. The shipped detector is where it
# starts.

# %%
settings = detector_run(SCALE, WALLS.yolo, OUT)
shown = plain_settings(settings)
for name in ("input_px", "batch", "epochs", "learning_rate", "optimizer", "device", "bfloat16", "seed", "augmentation"):
    print(f"{name:>14} = {shown[name]}")

# %% [markdown]
# ## Train, and stop
# The curves are drawn while it trains. To see that nothing is lost, the run is interrupted in its second epoch, as the stop
# button of the notebook would (or a lost connection).

# %%
per_epoch = -(-SCALE.train_photos // SCALE.detector_batch)
curves = display(draw_curves({}), display_id=True)
try:
    with live_curves(OUT, curves.update, CURVES, stop_after=per_epoch + 1):
        train_detector(settings)
except KeyboardInterrupt:
    print(f"stopped after {len(read_metrics(OUT))} records; can go on: {can_resume(settings)}")

# %% [markdown]
# ## Go on
# From the last whole epoch, with the same chance: the result is the same as without the break.

# %%
curves = display(draw_curves({}), display_id=True)
with live_curves(OUT, curves.update, CURVES):
    result = train_detector(settings, resume=can_resume(settings))
print(f"mAP50 {result.map50:.3f}, mAP50-95 {result.map50_95:.3f}, {result.photos_per_second:.1f} photos/s")

# %% [markdown]
# ## Export
# Scoring runs ONNX without torch. The export is compared with what was trained, number by number.

# %%
parity = export_to_onnx(result.weights, OUT / "detector.onnx", ExportSettings(input_px=SCALE.detector_px))
print("\n".join(f"{name} within {value:.1e}" for name, value in parity.differences.items()))

# %% [markdown]
# ## Better than the one in use?
# Both find lines in the validation photos, which share no wall, shop or font with the training. A detector alone reads
# nothing, so signs and posters, which it is to find as well, count as false here; in service the reading sorts them out.
# Look at recall first. Whether a difference is more than chance, notebook 4 tells.

# %%
val = read_set(WALLS.val)
evaluations = {}
for name, model in (("in use", None), ("new", str(OUT / "detector.onnx"))):
    evaluations[name], note = evaluate_model(val, WALLS.val / "photos", Task.DETECTOR, model, lambda message: None)
    print(f"{name}: {note.rsplit('/', 1)[-1]}")
print(resolve(Task.DETECTOR).name, "is in use")
Markdown(found_table(evaluations))

# %%
slices_plot(evaluations, ("height", "angle", "style"))

# %% [markdown]
# ## What is still missed
# Lines that the new detector did not find (`+` is what is painted there), and boxes where no advert is: signs are meant to
# be there, scraps of walls are not.

# %%
misses = {what: listed for what, listed in evaluations["new"].misses.items() if what in ("missed_lines", "false_lines")}
for sheet in write_sheets(misses, WALLS.val / "photos", OUT):
    print(sheet.stem.replace("_", " "))
    display(Image(filename=str(sheet)))
if not any(misses.values()):
    print("nothing: take a harder set")

# %% [markdown]
# ## What next
# - What is missed alike (steep, small, behind leaves)? Make more of it, or label it: notebook 5.
# - Validation no longer better with more epochs? Then the data are the limit; `patience` in the settings stops by itself.
# - The recogniser is next, in notebook 3; notebook 4 compares both with those in use, and puts into use what is better.
