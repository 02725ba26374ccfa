"""A narrower recogniser from a trained one, and a training that has a teacher."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from tagtrace import cli
from tagtrace.contract import TagtraceError
from tagtrace.datasets.lineshards import LineShardWriter
from tagtrace.models.alphabet import ALPHABET
from tagtrace.models.linecrop import CropSettings
from tagtrace.models.recogniser import OnnxRecogniser, ReadSettings

torch = pytest.importorskip("torch")

if TYPE_CHECKING:
    from tagtrace.training.recogniser_net import Model
    from tagtrace.training.recogniser_settings import NetworkSettings, RecogniserSettings

pytestmark = pytest.mark.train

TEXTS = ("zz_one", "@zz_two", "t.me/zz3", "zz 44 zz")


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lines")
    with LineShardWriter(folder) as writer:
        for number in range(24):
            crop = np.full((48, 200, 3), 190 - 3 * number, np.uint8)
            text = TEXTS[number % len(TEXTS)]
            cv2.putText(crop, text, (8, 34), cv2.FONT_HERSHEY_SIMPLEX, 1.0, (20, 20, 20), 2, cv2.LINE_AA)
            writer.add(crop, text, height_px=24.0)
    return folder


def sizes_of(**given: object) -> NetworkSettings:
    from tagtrace.training.recogniser_settings import NetworkSettings

    return replace(NetworkSettings(stem=8, dims=(32, 48, 64), depths=(1, 1, 1), neck=32, layers=1, heads=2), **given)


def model_with(sizes: NetworkSettings, seed: int = 1) -> Model:
    from tagtrace.training.recogniser_net import Model

    torch.manual_seed(seed)
    return Model(1 + len(ALPHABET), **asdict(sizes)).eval()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of a small network."""
    from tagtrace.training.recogniser import export

    folder = tmp_path_factory.mktemp("whole")
    export(model_with(sizes_of()), folder, CropSettings(), sizes_of())
    return folder / "recogniser.safetensors"


def pictures() -> torch.Tensor:
    return torch.rand(2, 1, 40, 96, generator=torch.Generator().manual_seed(5)) * 2 - 1


class TestPruning:
    def test_with_all_channels_it_gives_the_same(self, shards: Path) -> None:
        from tagtrace.training.recogniser_prune import PruneSettings, prune

        model = model_with(sizes_of())
        pruned = prune(model, sizes_of(), [str(shards)], CropSettings(), PruneSettings(share=1.0, batches=1))
        assert pruned.network.hidden == (64, 64, 96, 96, 128) and pruned.before == pruned.after
        with torch.no_grad():
            assert pruned.model(pictures()).equal(model(pictures()))

    def test_channels_that_do_nothing_go_and_nothing_changes(self, shards: Path) -> None:
        """Half of the channels of each block are made to have no effect: those, and no others, are taken away."""
        from tagtrace.training.recogniser_prune import PruneSettings, prune

        model = model_with(sizes_of())
        order = np.random.default_rng(2)
        for block in model.body:
            useless = torch.from_numpy(order.permutation(block.narrow.in_channels)[::2].copy())
            with torch.no_grad():
                block.narrow.weight[:, useless] = 0
        half = model_with(sizes_of(hidden=(32, 32, 48, 48, 64)))
        share = arithmetic_of(half) / arithmetic_of(model)
        settings = PruneSettings(share=share, batches=2)
        pruned = prune(model, sizes_of(), [str(shards)], CropSettings(), settings)
        assert pruned.network.hidden == (32, 32, 48, 48, 64)
        assert pruned.after == arithmetic_of(half)
        with torch.no_grad():
            torch.testing.assert_close(pruned.model(pictures()), model(pictures()), atol=1e-4, rtol=1e-4)

    def test_what_a_channel_carried_goes_to_its_twin(self, shards: Path) -> None:
        """Every channel is there twice: one of each pair is enough when the other gets its weight, too."""
        from tagtrace.training.recogniser_prune import _refit, measure

        model = model_with(sizes_of())
        block = model.body[0]
        with torch.no_grad():
            for part in (block.widen.weight, block.widen.bias):
                part[1::2] = part[::2]
        stay = torch.arange(0, 64, 2)
        weight, bias = _refit(block, stay, measure(model, batches_of(shards, 1))[0].moments, 1e-6)
        with torch.no_grad():
            inside = torch.nn.functional.gelu(block.widen(block.excite(block.look(model.stem(pictures())))))
            wanted = block.narrow(inside)
            dropped = torch.nn.functional.conv2d(inside[:, stay], block.narrow.weight[:, stay], block.narrow.bias)
            found = torch.nn.functional.conv2d(inside[:, stay], weight, bias)
        assert (found - wanted).abs().max() < 0.01 * (dropped - wanted).abs().max()

    def test_the_share_counts_multiplications(self, tmp_path: Path) -> None:
        """Our count is that of the ONNX graph, but for what attention multiplies with itself."""
        from tagtrace.training.flops import FlopCounter
        from tagtrace.training.recogniser import export

        sizes = sizes_of(layers=0, hidden=(16, 48, 32, 80, 64))
        model = model_with(sizes)
        export(model, tmp_path, CropSettings(), sizes)
        assert FlopCounter(tmp_path / "recogniser.onnx").count((1, 1, 40, 384)) == 2 * arithmetic_of(model)

    def test_the_command_writes_all_forms_and_they_read(
        self, whole: Path, shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        from tagtrace.training.recogniser_trainer import described, model_of

        config = tmp_path / "prune.toml"
        config.write_text("batches = 1\n")
        out = tmp_path / "narrow"
        arguments = [str(whole), "--data", str(shards), "--out", str(out), "--share", "0.7", "--config", str(config)]
        assert cli.run(["train", "prune", *arguments]) == 0
        assert "of the arithmetic" in capsys.readouterr().out
        hidden = described(out / "recogniser.safetensors")[0].hidden
        assert len(hidden) == 5 and all(width % 16 == 0 for width in hidden) and sum(hidden) < 448
        reader = OnnxRecogniser(out / "recogniser.onnx", ReadSettings(threads=1))
        assert len(reader.read([np.full((40, 200, 3), 128, np.uint8)])) == 1
        assert (
            cli.run(["export", "easyocr", "--weights", str(out / "recogniser.safetensors"), "--out", str(tmp_path / "easy")]) == 0
        )
        model, _, _ = model_of(out / "recogniser.safetensors")
        with torch.no_grad():
            torch.testing.assert_close(as_easyocr_makes_it(tmp_path / "easy")(pictures(), None), model(pictures()))

    def test_a_run_takes_over_sizes_and_crops_of_what_it_starts_from(self, shards: Path, tmp_path: Path) -> None:
        from tagtrace.training.recogniser import export, train
        from tagtrace.training.recogniser_settings import RecogniserSettings
        from tagtrace.training.recogniser_trainer import described

        sizes, crop = sizes_of(layers=0), CropSettings(height=32, width_step=24)
        export(model_with(sizes), tmp_path, crop, sizes)
        start = tmp_path / "recogniser.safetensors"
        common = {"data": (str(shards),), "held_out": str(shards), "start": str(start), "steps": 1, "workers": 0}
        train(RecogniserSettings(out=str(tmp_path / "on"), **common), say=lambda line: None)
        assert described(tmp_path / "on" / "recogniser.safetensors") == (sizes, crop)
        other = CropSettings(height=24)
        train(RecogniserSettings(out=str(tmp_path / "other"), crop=other, **common), say=lambda line: None)
        assert described(tmp_path / "other" / "recogniser.safetensors") == (sizes, other)

    def test_what_cannot_be_is_refused(self, whole: Path, shards: Path, tmp_path: Path) -> None:
        from tagtrace.training.recogniser_prune import PruneSettings, prune

        with pytest.raises(TagtraceError, match=r"share is 0\.05: where every block keeps 0\.25"):
            prune(model_with(sizes_of()), sizes_of(), [str(shards)], CropSettings(), PruneSettings(share=0.05, batches=1))
        with pytest.raises(TagtraceError, match="share is 2"):
            PruneSettings(share=2.0)
        with pytest.raises(TagtraceError, match="hidden has 2 numbers of channels: it must have 5"):
            sizes_of(hidden=(16, 16))


class TestTeacher:
    def test_the_loss_is_nothing_for_the_same_network(self, shards: Path) -> None:
        from tagtrace.training.recogniser_trainer import log_probs_of, teacher_loss

        (batch,) = batches_of(shards, 1)
        same, other = model_with(sizes_of(), 1), model_with(sizes_of(), 2)
        wanted, else_wanted = (log_probs_of(model, batch, bfloat16=False).detach() for model in (same, other))
        mine = log_probs_of(same, batch, bfloat16=False)
        assert float(teacher_loss(mine, wanted, batch).detach()) == pytest.approx(0.0, abs=1e-5)
        apart = (else_wanted.exp() * (else_wanted - wanted)).sum((1, 2)) / batch.lengths.clamp(min=1)
        assert float(teacher_loss(mine, else_wanted, batch).detach()) == pytest.approx(float(apart.mean()), rel=1e-3)
        assert float(apart.mean()) > 0.01

    def test_a_narrow_network_becomes_like_its_teacher(self, whole: Path, shards: Path, tmp_path: Path) -> None:
        """With the teacher alone (share 1) the difference falls; the sizes are those of the weights it starts from."""
        from tagtrace.training import recogniser
        from tagtrace.training.recogniser_prune import PruneSettings, write_pruned

        pruned = write_pruned(whole, [str(shards)], tmp_path / "narrow", PruneSettings(share=0.6, batches=1))
        start = str(tmp_path / "narrow" / "recogniser.safetensors")
        settings = replace(run_of(shards, tmp_path / "run", whole), start=start, teacher_share=1.0, steps=40, learning_rate=2e-3)
        recogniser.train(settings, lambda _: None)
        rows = [json.loads(row) for row in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
        assert rows[-1]["loss"] < 0.5 * rows[0]["loss"]
        record = json.loads((tmp_path / "run" / "run.json").read_text())
        assert record["settings"]["network"]["hidden"] == list(pruned.network.hidden)
        assert record["settings"]["teacher"] == str(whole)

    def test_a_run_with_a_teacher_goes_on_to_the_same_weights(self, whole: Path, shards: Path, tmp_path: Path) -> None:
        from safetensors.torch import load_file

        from tagtrace.training import recogniser
        from tagtrace.training.recogniser_trainer import Trainer

        settings = replace(run_of(shards, tmp_path / "once", whole), network=sizes_of())
        recogniser.train(settings, lambda _: None)
        halves = replace(settings, out=str(tmp_path / "twice"))
        Path(halves.out).mkdir()
        trainer = Trainer(halves)
        for batch, _ in zip(trainer.batches(), range(3), strict=False):
            trainer.learn(batch)
        trainer.save()
        recogniser.train(halves, lambda _: None)
        once, twice = (load_file(tmp_path / name / "recogniser.safetensors") for name in ("once", "twice"))
        assert all(once[name].equal(twice[name]) for name in once)
        alone = replace(settings, out=str(tmp_path / "alone"), teacher="")
        recogniser.train(alone, lambda _: None)
        without = load_file(tmp_path / "alone" / "recogniser.safetensors")
        assert not all(once[name].equal(without[name]) for name in once), "the teacher had no effect"

    def test_a_run_of_before_there_were_teachers_goes_on(self, whole: Path, shards: Path, tmp_path: Path) -> None:
        """Its record and its checkpoint know no `teacher`, and of the network no `hidden`."""
        from tagtrace.training import recogniser

        settings = replace(run_of(shards, tmp_path, whole), teacher="", network=sizes_of())
        recogniser.train(replace(settings, steps=3), lambda _: None)
        record = json.loads((tmp_path / "run.json").read_text())
        del record["settings"]["teacher"], record["settings"]["teacher_share"], record["settings"]["network"]["hidden"]
        (tmp_path / "run.json").write_text(json.dumps(record))
        recogniser.train(settings, lambda _: None)
        assert json.loads((tmp_path / "result.json").read_text())["steps"] == settings.steps
        with pytest.raises(TagtraceError, match="network"):
            recogniser.train(replace(settings, network=sizes_of(neck=16)), lambda _: None)

    def test_a_teacher_that_is_none_is_named(self, shards: Path, tmp_path: Path) -> None:
        from tagtrace.training import recogniser

        with pytest.raises(TagtraceError, match=r"gone\.safetensors"):
            recogniser.train(run_of(shards, tmp_path, tmp_path / "gone.safetensors"), lambda _: None)
        with pytest.raises(TagtraceError, match=r"teacher_share is 1\.5"):
            replace(run_of(shards, tmp_path, tmp_path), teacher_share=1.5)


def run_of(shards: Path, out: Path, teacher: Path) -> RecogniserSettings:
    """Six steps that start from the teacher's own weights, or those of ``start``."""
    from tagtrace.training.recogniser_data import BatchSettings
    from tagtrace.training.recogniser_settings import RecogniserSettings

    return RecogniserSettings(
        data=(str(shards),),
        held_out=str(shards),
        out=str(out),
        start=str(teacher),
        teacher=str(teacher),
        steps=6,
        workers=0,
        log_every=5,
        batch=BatchSettings(batch_px=1500),
    )


def batches_of(shards: Path, number: int) -> list:
    from tagtrace.datasets.lineshards import LineShards
    from tagtrace.training.recogniser_augment import AugmentSettings
    from tagtrace.training.recogniser_data import BatchSettings, TrainBatches

    found = TrainBatches(LineShards([str(shards)]), CropSettings(), BatchSettings(), AugmentSettings(), 1, 0)
    return [found[i] for i in range(number)]


def arithmetic_of(model: Model) -> int:
    from tagtrace.training.recogniser_prune import arithmetic

    return arithmetic(model, CropSettings())[0]


def as_easyocr_makes_it(folder: Path) -> Model:
    """The network that EasyOCR makes from the files in ``folder``."""
    import runpy

    import yaml

    described = yaml.safe_load((folder / "tagtrace_line.yaml").read_text(encoding="utf-8"))
    network = runpy.run_path(str(folder / "tagtrace_line.py"))["Model"]
    model = network(num_class=1 + len(described["character_list"]), **described["network_params"])
    weights = torch.load(folder / "tagtrace_line.pth", weights_only=True)
    model.load_state_dict({name.removeprefix("module."): value for name, value in weights.items()})
    return model.eval()
