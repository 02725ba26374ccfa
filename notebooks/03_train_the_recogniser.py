# %% [markdown]
# # 3. Train the recogniser
#
# **Does more training read more lines rightly, and what is still misread?** What goes in, as the network sees it; live
# curves; a run that is stopped and goes on; reading by height and style; the misreads as pictures, and which letters are
# taken for which.
#
# Takes about a minute (`tiny`), two hours (`laptop`, two cores) or a night (`gpu`).

# %%
import shutil

from IPython.display import Image, Markdown, display

from tagtrace.datasets.formats.convert import read_set
from tagtrace.datasets.lineshards import LineShards
from tagtrace.models.registry import Task
from tagtrace.training.curves import draw_curves, live_curves, read_metrics
from tagtrace.training.evaluate_parts import evaluate_model
from tagtrace.training.misses import write_sheets
from tagtrace.training.notebook import RECOGNISER, folder_of, make_walls, recogniser_run, scale_of
from tagtrace.training.recogniser import train
from tagtrace.training.recogniser_eval import evaluate
from tagtrace.training.recogniser_trainer import model_of
from tagtrace.training.views import batch_sheet, confusion_table, crops_sheet, line_table, score_table, slices_plot

SCALE = scale_of()
FOLDER = folder_of(SCALE)
WALLS = make_walls(FOLDER, SCALE, print)
OUT = FOLDER / RECOGNISER
shutil.rmtree(OUT, ignore_errors=True)

# %% [markdown]
# ## What it learns from
# Line crops with their text. Crops of your own photos come from `tagtrace dataset lines`; several folders are trained on
# together.

# %%
shards = LineShards(WALLS.train_lines)
print(f"{len(shards)} lines to train on, {len(LineShards(WALLS.val_lines))} held out, of other shops and in other fonts")
crops_sheet(shards)

# %% [markdown]
# What the network gets of them: stretched, blurred, shaded, squeezed, in grey, and now and then upside down, to be read as
# nothing. When you cannot read a crop here, the changes (`[augment]` in the settings) are too strong.

# %%
settings = recogniser_run(SCALE, (WALLS.train_lines,), WALLS.val_lines, OUT)
batch_sheet(settings)

# %% [markdown]
# ## Train, and stop
# It starts from the shipped weights. The run is interrupted on purpose after its first checkpoint.

# %%
said = []
curves = display(draw_curves({}), display_id=True)
try:
    with live_curves(OUT, curves.update, stop_after=settings.checkpoint_steps):
        train(settings, said.append)
except KeyboardInterrupt:
    print(f"stopped at step {read_metrics(OUT)[-1]['step']:.0f} of {settings.steps}")

# %% [markdown]
# ## Go on
# Calling it again goes on from the last checkpoint. (A run that is complete goes on, too, with more `steps`.)

# %%
curves = display(draw_curves({}), display_id=True)
with live_curves(OUT, curves.update):
    score = train(settings, said.append)
print(f"held-out CER {score.cer:.4f} after {read_metrics(OUT)[-1]['step']:.0f} steps")
print(next(line.rsplit("/", 1)[-1] for line in reversed(said) if "within" in line))

# %% [markdown]
# ## How it reads held-out lines
# `exact` is every character right; `alike` leaves aside case, spaces and twins of two alphabets, which on a wall nobody can
# tell.

# %%
before, _, crop = model_of(settings.start)
held_out = LineShards(WALLS.val_lines)
scores = {"in use": evaluate(before, held_out, crop, SCALE.val_lines, bfloat16=False), "new": score}
Markdown(score_table(scores))

# %%
Markdown("\n".join(f"- `{truth}` read as `{reading}`" for truth, reading in score.misreads))

# %% [markdown]
# ## On photos
# Both read the true lines of the validation photos, so that what is wrong here, the recogniser did.

# %%
val = read_set(WALLS.val)
evaluations = {}
for name, model in (("in use", None), ("new", str(OUT / "recogniser.onnx"))):
    evaluations[name], _ = evaluate_model(val, WALLS.val / "photos", Task.RECOGNISER, model, lambda message: None)
Markdown(line_table(evaluations))

# %%
slices_plot(evaluations, ("height", "style", "script"), "cer_folded")

# %% [markdown]
# ## What is misread
# Green is painted, red is read, the worst first; and which characters are taken for which. What an eye cannot tell apart
# either, linking has to weigh (`S` and `5`, `l` and `1`); what an eye reads easily, training can mend.

# %%
misses = {what: listed for what, listed in evaluations["new"].misses.items() if what == "misread_lines"}
for sheet in write_sheets(misses, WALLS.val / "photos", OUT):
    display(Image(filename=str(sheet)))
Markdown(confusion_table(evaluations["new"]))

# %% [markdown]
# ## What next
# - Compare with the one in use, and promote: notebook 4.
# - A new recogniser has other probabilities and slips: run `tagtrace train calibration` and `tagtrace train confusions`
#   once it is in use.
# - Several runs from one start? Their mean often reads better than each: `tagtrace train mean`.
# - Errors that real walls have and the generator does not: corrections of experts teach them, notebook 5.
