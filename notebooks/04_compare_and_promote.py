# %% [markdown]
# # 4. Compare and promote
#
# **Is the new model better than the one in use, by more than chance, and may it go into service?** Both on the same photos:
# identifiers, characters, clusters and speed, slice by slice, with paired intervals; INT8 where it pays; a gate with named
# limits, which refuses a worse model; the card and the entry in `weights.toml` that the tool writes; and the way back.
#
# Takes about two minutes (`tiny`), half an hour (`laptop`) or an hour (`gpu`). It takes the models of notebooks 2 and 3;
# where they were not run, it trains them first.

# %%
import shutil

from IPython.display import Image, Markdown, display

from tagtrace.models.library import roll_back
from tagtrace.models.registry import Task, resolve
from tagtrace.training.compare import PLOT_FILE, compare, data_set
from tagtrace.training.compare_text import markdown, measures_table
from tagtrace.training.export import ExportSettings, export_to_int8
from tagtrace.training.notebook import (
    comparison,
    folder_of,
    gate,
    make_walls,
    sample_set,
    scale_of,
    trained_detector,
    trained_recogniser,
    worse_recogniser,
)
from tagtrace.training.promote import Candidate, Limits, judge, promote
from tagtrace.training.views import verdict_table

SCALE = scale_of()
FOLDER = folder_of(SCALE)
WALLS = make_walls(FOLDER, SCALE, print)
OUT = FOLDER / "compare"
MODELS = FOLDER / "my-models"
for made in (OUT, MODELS):
    shutil.rmtree(made, ignore_errors=True)

# %%
new_detector = trained_detector(SCALE, WALLS, FOLDER)
new_recogniser = trained_recogniser(SCALE, WALLS, FOLDER)
in_use = {task: resolve(task) for task in (Task.DETECTOR, Task.RECOGNISER)}
print("in use:", ", ".join(model.name for model in in_use.values()))

# %% [markdown]
# ## Two recognisers on the validation photos
# A is in use, B is new, and everything else is the same. Photos of one wall are no independent evidence, so walls are
# drawn, not photos. "Not told apart" is the honest answer where the interval holds 0: with the dozen photos of `tiny` it
# nearly always does.

# %%
val = data_set(WALLS.val)
result = compare(in_use[Task.RECOGNISER].name, str(new_recogniser), [val], OUT / "recogniser", comparison(SCALE))
display(Markdown(measures_table(result.measures)))
Image(filename=str(OUT / "recogniser" / PLOT_FILE))

# %% [markdown]
# ## Both new models, on the sample
# The sample shows walls several times, so that clusters are measured, too, and has a register, so that links are. It is for
# measuring only: choose by the validation photos, and come here once, at the end.

# %%
sample = data_set(sample_set(), shops=sample_set() / "registry.csv", limit=20 if SCALE.name == "tiny" else 0)
both = f"{new_detector}+{new_recogniser}"
on_sample = compare(in_use[Task.RECOGNISER].name, both, [sample], OUT / "both", comparison(SCALE))
Markdown(markdown(on_sample).split("![", 1)[0].replace(both, "the new detector and recogniser").replace("# ", "### "))

# %% [markdown]
# ## INT8, where it pays
# Whole numbers of 8 bits instead of floating point: a smaller file, on some processors faster, and never quite the same.
# The ranges come from training photos. It pays when the time falls and nothing else does.

# %%
detector = in_use[Task.DETECTOR]
quantised = export_to_int8(detector, [WALLS.train / "photos"], OUT / "int8.onnx", ExportSettings(calibration=SCALE.calibration))
print(quantised.describe().split(": ", 1)[1])

# %%
small = compare(detector.name, str(OUT / "int8.onnx"), [val], OUT / "int8", comparison(SCALE))
display(Markdown(measures_table(small.measures)))
if small.speed is not None:
    low, high = small.speed.low or small.speed.ratio, small.speed.high or small.speed.ratio
    print(f"INT8 takes {small.speed.ratio:.2f} times as long ({low:.2f} to {high:.2f}), the whole way of a photo")

# %% [markdown]
# ## The gate
# A new model has to keep every limit against the one in use. First the limits that count, held against the comparison
# above: with few photos it is refused for that alone. (`tagtrace promote --dry-run` does the same.)

# %%
strict = judge(result, Limits())
failed = [verdict.limit for verdict in strict if not verdict.kept]
print("refused:" if failed else "every limit is kept", ", ".join(failed))
Markdown(verdict_table(strict))

# %% [markdown]
# A recogniser that has learned nothing is refused by any gate, also by the loose one that `tiny` is tried out with.

# %%
worse = worse_recogniser(OUT / "worse")
refused = promote(Candidate(str(worse), Task.RECOGNISER, "worse", MODELS), [val], OUT / "refused", gate(SCALE))
assert refused.model is None and refused.failed, "a model that reads nothing must never be put into use"
print("refused:", ", ".join(verdict.limit for verdict in refused.failed))
Markdown(verdict_table(refused.verdicts))

# %% [markdown]
# ## Promote
# Into a folder of models of its own: nothing that is installed is changed. What keeps every limit is copied there, with its
# entry and its card.

# %%
candidate = Candidate(str(new_recogniser), Task.RECOGNISER, "my-recogniser", MODELS, f"notebook 3, {SCALE.name}")
done = promote(candidate, [val], OUT / "promotion", gate(SCALE))
if done.model is None:
    print("refused, and nothing was changed:", ", ".join(verdict.limit for verdict in done.failed))
else:
    print(f"{done.model.name} is in use in {MODELS.name}: TAGTRACE_MODELS=…/{MODELS.name} tagtrace score photos/ --out results")
    display(Markdown(verdict_table(done.verdicts)))

# %%
if done.model is not None and done.model.card is not None:
    entry = (MODELS / "weights.toml").read_text(encoding="utf-8").split("[[model]]")
    print("[[model]]" + next(part for part in entry if '"my-recogniser"' in part))
    display(Markdown(done.model.card.read_text(encoding="utf-8").replace("# ", "### ")))

# %% [markdown]
# ## And back
# The model before stays in the folder. On the command line: `tagtrace models rollback recogniser`.

# %%
if done.model is not None:
    now, before = roll_back(MODELS, Task.RECOGNISER)
    print(f"{before} is in use again, in place of {now}")

# %% [markdown]
# ## What next
# - Promoted for good? `tagtrace promote … --folder my-models`, complete the card by hand (where does it fail?), and set
#   `TAGTRACE_MODELS` for the service. Then `tagtrace train calibration` and `tagtrace train confusions`: a new recogniser
#   has other probabilities and slips.
# - Refused? The limit says what for; `comparison.md` in the folder says where. More data of that slice: notebooks 1 and 5.
# - In service? Watch it: notebook 6.
