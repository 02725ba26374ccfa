# %% [markdown]
# # 5. From corrections to training
#
# **How do the decisions of the review desk become better models, and what should people label next?** Photos are read and
# kept in a store; experts confirm, correct and reject; their words become labels; the next photos to label are picked for
# doubt, disagreement and novelty; and labels go to Label Studio or CVAT and back.
#
# Takes about a minute (`tiny`) or ten minutes (`laptop`).

# %%
import shutil
from dataclasses import replace

from IPython.display import Markdown, display

from tagtrace.datasets.checks import check_between, check_set
from tagtrace.datasets.formats.convert import Format, read_set, write_set
from tagtrace.datasets.linecrops import write_line_crops
from tagtrace.datasets.lineshards import LineShards
from tagtrace.datasets.merging import merge_sets
from tagtrace.datasets.overview import overview
from tagtrace.datasets.plots import draw_overview, draw_photos, legend
from tagtrace.datasets.splitting import find_leaks, split_photos, write_splits
from tagtrace.linking.store import Store
from tagtrace.scoring.run import ScoreRequest, score_photos
from tagtrace.scoring.settings import ScoreSettings
from tagtrace.training.from_store import write_labels_of
from tagtrace.training.kinds import with_kinds
from tagtrace.training.notebook import folder_of, make_walls, scale_of, trained_recogniser
from tagtrace.training.pick_run import PickPlan, run_pick
from tagtrace.training.rehearsal import RehearsalSettings, decide_by_truth
from tagtrace.training.report_text import table
from tagtrace.training.views import crops_sheet, pick_sheet

SCALE = scale_of()
FOLDER = folder_of(SCALE)
WALLS = make_walls(FOLDER, SCALE, print)
OUT = FOLDER / "corrections"
shutil.rmtree(OUT, ignore_errors=True)
OUT.mkdir()

# %% [markdown]
# ## What came in
# Photos of walls that no training saw, read by the models in use and kept in a store with their bytes, as `tagtrace score
# --store … --keep-photos …` and the service do.

# %%
reports = read_set(WALLS.reports)
photos = tuple(WALLS.reports / "photos" / photo.file for photo in reports)
STORE = str(OUT / "city.db")
Store.open(STORE, upgrade=True).close()
kept = str(OUT / "kept")
done = score_photos(
    ScoreRequest(photos, OUT / "scored", store=STORE, keep_photos=kept, formats=("predictions",), workers=SCALE.workers)
)
print(f"{done.photos} photos: {done.adverts} adverts, {done.identifiers} contacts, {done.clusters} clusters")

# %% [markdown]
# ## What experts say
# In a city people decide at the desk (`tagtrace serve`). Here somebody decides who knows the truth of generated walls,
# through the same functions and into the same rows: two in three photos, so that some are left to pick from.

# %%
with Store.open(STORE) as store:
    said = decide_by_truth(store, reports, WALLS.reports / "photos", RehearsalSettings(photos=-(-len(reports) * 2 // 3)))
Markdown(table(("word", "adverts"), sorted((word.value, count) for word, count in said.items())))

# %% [markdown]
# ## Decisions become labels
# Only a person's word counts. A photo is taken when every advert in it was decided about; a line whose text only the
# machine read teaches where a line is, and not what it says. Photos are copied without EXIF, and no name goes along.

# %%
labels = OUT / "labels"
with Store.open(STORE) as store:
    written = write_labels_of(store, labels)
print(f"{written.photos} photos, {written.adverts} adverts, {written.others} texts that are no advert")
for why, count in written.left_out.items():
    print(f"left out: {count} photos, because {why}")
corrected = read_set(labels)
display(Markdown(legend()))
draw_photos(corrected, labels / "photos", most=6)

# %%
draw_overview(overview(corrected), ["lines by kind", "lines by script", "lines by height", "lines by legibility"])

# %% [markdown]
# ## Good enough to train with?
# Checked like any data set, then merged with what was there and divided; walls, shops, contacts and pictures stay on one
# side, and what was in training before stays there.

# %%
problems = [p for p in check_set(labels).problems if p.severity == "error"]
problems += check_between({"val": check_set(WALLS.val), "corrections": check_set(labels)})
print(f"{len(problems)} errors and leaks")
merged = merge_sets([WALLS.train, labels], OUT / "merged", title="Generated walls and corrections")
whole = read_set(OUT / "merged")
divided = split_photos(whole, before={photo.file: "train" for photo in whole if photo.split == "train"})
write_splits(whole, divided.of, OUT / "merged" / "photos", OUT / "divided")
print(f"{merged.photos} photos, {merged.doubles} of them twice: {divided.counts()}; leaks: {find_leaks(whole, divided.of)}")

# %% [markdown]
# The detector learns from YOLO labels, the recogniser from lines, cut out of the photos that are for training.

# %%
whole = [replace(photo, split=divided.of[photo.file]) for photo in whole]
yolo = write_set(whole, Format.YOLO, OUT / "yolo", OUT / "merged" / "photos")
cut = write_line_crops(OUT / "divided" / "train", OUT / "lines")
print(f"YOLO: {yolo.photos} photos. Lines: {cut.crops} crops of {cut.photos} photos; left out: {dict(cut.left_out)}")
crops_sheet(LineShards(OUT / "lines"))

# %% [markdown]
# ## What to label next
# Photos that the models are unsure of, read differently (the one in use, and the one of notebook 3), or have never seen the
# like of; no two of one wall. Each has its reason.

# %%
other = ScoreSettings(recogniser=str(trained_recogniser(SCALE, WALLS, FOLDER)))
again = ScoreRequest(photos, OUT / "other", formats=("predictions",), workers=SCALE.workers, settings=other)
score_photos(again)
plan = PickPlan(
    OUT / "next",
    predictions=OUT / "scored" / "predictions.jsonl",
    photos=WALLS.reports / "photos",
    other=OUT / "other" / "predictions.jsonl",
    labelled=(WALLS.train,),
    count=6,
)
picks = run_pick(plan)
head = ("rank", "photo", "score", "unsure", "disagree", "new", "why")
Markdown(table(head, [(p.rank, p.name, p.score, p.uncertainty, p.disagreement, p.novelty, p.reason) for p in picks]))

# %%
pick_sheet(picks, OUT / "next" / "photos")

# %% [markdown]
# From the store itself only what nobody has decided about is picked (`tagtrace dataset pick --store`):

# %%
open_ones = run_pick(PickPlan(OUT / "open", store=STORE, labelled=(labels,), count=4))
for pick in open_ones:
    print(f"{pick.rank}. {pick.score:.2f} {pick.reason}")

# %% [markdown]
# ## Round trip
# `next/` holds tasks for Label Studio that begin with what was read (`label-studio.json`, and `label-studio.xml` for the
# labelling form). What comes back is read like any data set. What a tool cannot hold is counted; of what people type, the
# kinds and values are found again by the grammar that scoring uses.

# %%
rows = []
for form in (Format.LABEL_STUDIO, Format.CVAT, Format.COCO):
    there = write_set(corrected, form, OUT / form.value, labels / "photos")
    back = with_kinds(read_set(there.file, form, OUT / form.value / "photos"))
    same = sum(
        [line.text for ad in a.ads for line in ad.lines] == [line.text for ad in b.ads for line in ad.lines]
        for a, b in zip(sorted(corrected, key=lambda p: p.file), sorted(back, key=lambda p: p.file), strict=True)
    )
    lost = ", ".join(f"{name} ({count})" for name, count in there.lost.items()) or "nothing"
    rows.append((form.value, there.photos, same, lost))
Markdown(table(("format", "photos", "with the same texts", "what it cannot hold"), rows, left=1))

# %% [markdown]
# ## What next
# - Train on the merged set: `tagtrace train detector --data …/yolo` (notebook 2), `tagtrace train recogniser --data
#   …/lines` besides the generated lines (notebook 3), then compare and promote (notebook 4).
# - Every week: `tagtrace dataset from-store --since`, `validate`, `merge`, `split --before`.
# - Have the picked photos labelled by people who did not see the reading first, now and then: a proposal is easily
#   believed.
