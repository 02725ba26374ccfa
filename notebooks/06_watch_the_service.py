# %% [markdown]
# # 6. Watch the service
#
# **Do the photos that come in still look to the models as those did that they were judged on?** New cameras, new stencils,
# another season: nobody tells, but the readings do. How sure lines are read, in which letters, which contacts, how many
# lines a photo has, against the reference that lies beside the models; and pictures of what looks new.
#
# Takes about two minutes (`tiny`), ten minutes (`laptop`).

# %%
import shutil

from IPython.display import Markdown

from tagtrace.datasets.formats.convert import read_set
from tagtrace.datasets.photos import sha256_of
from tagtrace.linking.store import Store
from tagtrace.scoring.drift import count, find_reference
from tagtrace.scoring.run import ScoreRequest, score_photos
from tagtrace.training.notebook import folder_of, sample_set, scale_of
from tagtrace.training.picking import features_of
from tagtrace.training.rehearsal import WORSE_CAMERA, photograph_again
from tagtrace.training.watching import (
    draw_drift,
    draw_over_time,
    drift_table,
    over_time,
    own_reference,
    read_in,
    strange_sheet,
    strangest,
)

SCALE = scale_of()
FOLDER = folder_of(SCALE)
OUT = FOLDER / "watch"
shutil.rmtree(OUT, ignore_errors=True)
OUT.mkdir()

# %% [markdown]
# ## The reference
# What the models in use saw in their validation photos: histograms, no photos. It is a file beside the weights; `tagtrace
# models reference` makes one of your own photos, and `TAGTRACE_DRIFT_REFERENCE` names it to the service.

# %%
reference = find_reference()
assert reference is not None, "the models in use have no reference; make one with `tagtrace models reference`"
print(f"{reference.photos} photos: {reference.source}")
print("measures:", ", ".join(reference.measures))

# %% [markdown]
# ## What came in
# First the sample, as if it were a city. Then the same photos again, taken with a worse camera: smaller, darker, out of
# focus. Both go into a store, as in service.

# %%
usual = [sample_set() / "photos" / photo.file for photo in read_set(sample_set())]
worse = photograph_again(usual, OUT / "worse", WORSE_CAMERA)
STORE = str(OUT / "city.db")
Store.open(STORE, upgrade=True).close()
for number, paths in enumerate((usual, worse)):
    request = ScoreRequest(tuple(paths), OUT / f"scored{number}", store=STORE, formats=("predictions",), workers=SCALE.workers)
    done = score_photos(request)
    print(f"{done.photos} photos: {done.adverts} adverts, {done.identifiers} contacts")
with Store.open(STORE) as store:
    groups = {
        "usual": read_in(store, [sha256_of(path) for path in usual]),
        "worse camera": read_in(store, [sha256_of(path) for path in worse]),
    }

# %% [markdown]
# ## Are these photos like those of the reference?
# The stability index is 0 for equal shares; 0.1 is noticeable, 0.25 is much. Groups of a few dozen photos differ by chance,
# and the column beside it says by how much. The sample is read more surely than the generator's validation photos, which
# were made hard on purpose: that is drift, too, and none to worry about.

# %%
Markdown(drift_table(reference, groups))

# %%
draw_drift(reference, {name: count(analyses) for name, analyses in groups.items()})

# %% [markdown]
# ## A reference of one's own
# So the reference has to come from photos like yours, once they were looked through: here the usual ones. Against it the
# worse camera shows, where it did harm.

# %%
own = own_reference(groups["usual"], "the usual photos of this city")
Markdown(drift_table(own, {"worse camera": groups["worse camera"]}))

# %% [markdown]
# ## When did it change?
# The index over a moving window of photos, in the order in which they came; the red line is where the camera changed. The
# service shows the same numbers at `/metrics` (`tagtrace_drift`), over the last days: an alert at 0.25 is a start, with
# some hundred photos in the window.

# %%
everything = [*groups["usual"], *groups["worse camera"]]
window = len(groups["usual"])
draw_over_time(over_time(own, everything, window, max(1, window // 8)), change=window)

# %% [markdown]
# ## What looks new?
# Numbers say that something changed, pictures say what. By the features of the detector, the photos that lie farthest from
# all usual ones, in units of how far those are from each other.

# %%
known = features_of({path.name: path for path in usual})
arrived = features_of({path.name: path for path in worse})
found = strangest(arrived, known)
strange_sheet(found, OUT / "worse")

# %% [markdown]
# ## What next
# - Drift in `photo` or `lines`, and the pictures are dark or small? The camera or the uploads changed: look at the intake
#   first.
# - Drift in `line confidence`? Reading got harder: have the strangest labelled (notebook 5), train (2, 3), compare (4).
# - Drift in `script` or `identifier kind`? The adverts changed: look through the newest clusters; a new kind wants a new
#   grammar.
# - After a promotion make the reference again: another model is sure in another way.
