"""The command line ``tagtrace``: each room keeps its own commands, this joins them and loads a room only when asked.

``tagtrace --help`` lists every command from the table below without importing any room; a room is imported when one of its
commands runs or its own help is asked for. A command is a plain function with typer annotations that returns nothing or an
``ExitCode``; what it raises becomes one red line and an exit code here.
"""

from __future__ import annotations

import functools
import importlib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

import typer
from typer.core import TyperGroup

from . import __version__
from .contract import BrokenInstallationError, ExitCode, TagtraceError


@dataclass(frozen=True, slots=True)
class Lazy:
    """Where a command lives (module below ``tagtrace``, function), the extra it needs, and its line in the list of commands."""

    module: str
    function: str
    summary: str
    extra: str = ""


COMMANDS: dict[str, Lazy] = {
    "score": Lazy("scoring.commands", "score", "Score photos: adverts, texts, identifiers, shops and clusters into files."),
    "place": Lazy(
        "scoring.commands_place", "place", "Place the results of a finished run in a store; no photo is read again.", "postgres"
    ),
    "link": Lazy("scoring.commands", "link", "Link everything in a store again, after new shops."),
    "show": Lazy("scoring.commands", "show", "Show what tagtrace sees in one photo."),
    "explain": Lazy(
        "scoring.commands_explain", "explain", "Show the evidence behind links, from a store or a results.jsonl.", "postgres"
    ),
    "extract": Lazy("inference.commands", "extract", "Extract the identifiers from text."),
    "models list": Lazy("models.commands", "list_models", "List the models with their task, licence, size and checksum."),
    "models verify": Lazy("models.commands", "verify_models", "Check every model file against its checksum."),
    "models card": Lazy("models.commands", "show_card", "Show the card of a model."),
    "models rollback": Lazy("models.commands", "rollback", "Use the model again that the last promotion replaced."),
    "models reference": Lazy(
        "scoring.commands_reference", "reference", "Write what the models see in photos, to notice when others look otherwise."
    ),
    "db upgrade": Lazy("linking.commands_store", "upgrade", "Set up a store, or bring it to the newest schema.", "postgres"),
    "db check": Lazy("linking.commands_store", "check", "Check a store: schema, references, audit chain, rows.", "postgres"),
    "shops import": Lazy("linking.commands_store", "import_shops", "Take a shop list into the store.", "postgres"),
    "shops export": Lazy("linking.commands_store", "export", "Write the shops of the store as a shop list.", "postgres"),
    "shops list": Lazy("linking.commands_store", "list_shops", "List the shops.", "postgres"),
    "shops show": Lazy("linking.commands_store", "show_shop", "Show a shop, its resources and its graph.", "postgres"),
    "shops merge": Lazy("linking.commands_store", "merge_shops", "Make two shops one.", "postgres"),
    "shops split": Lazy("linking.commands_store", "split_shop", "Make some resources of a shop a shop of their own.", "postgres"),
    "shops propose": Lazy("linking.commands_store", "propose", "Propose shops from what is painted together.", "postgres"),
    "resources list": Lazy("linking.commands_store", "list_resources", "List the resources and where they stand.", "postgres"),
    "resources export": Lazy("service.commands_data", "export", "Write verified resources for the blocking system.", "serve"),
    "resources set": Lazy("linking.commands_store", "set_resource", "Record a step in the life of a resource.", "postgres"),
    "dataset validate": Lazy("datasets.commands_sets", "validate", "Check data sets; every problem by file and line.", "train"),
    "dataset stats": Lazy("datasets.commands_sets", "stats", "Count what a data set holds; data card and plots.", "train"),
    "dataset split": Lazy("datasets.commands_sets", "split", "Divide a data set so that no advert leaks.", "train"),
    "dataset merge": Lazy("datasets.commands_sets", "merge", "Merge data sets, with provenance and manifest.", "train"),
    "dataset lines": Lazy("datasets.commands_sets", "lines", "Cut lines out of photos, to train the recogniser with.", "train"),
    "dataset dedup": Lazy("datasets.commands_sets", "dedup", "Find photos that are there twice.", "train"),
    "dataset gap": Lazy("training.commands_dataset", "gap", "Measure how far two data sets are apart, and in what.", "train"),
    "dataset convert": Lazy("training.commands_dataset", "convert", "Convert a data set to another annotation format.", "train"),
    "dataset suspicious": Lazy("training.commands_dataset", "suspicious", "Rank labels that are probably wrong.", "train"),
    "dataset from-store": Lazy(
        "training.commands_dataset", "from_store", "Make labels from decisions of the review desk.", "train"
    ),
    "dataset pick": Lazy("training.commands_dataset", "pick", "Pick the photos to label next, each with its reason.", "train"),
    "synth": Lazy("datasets.commands", "synth", "Write synthetic photos of adverts on walls, with truth.", "train"),
    "textures": Lazy("datasets.commands", "textures", "Unpack wall textures of Debian packages, as backgrounds for synth."),
    "train detector": Lazy("training.commands_detector", "detector", "Train the detector of lines and codes.", "train"),
    "train recogniser": Lazy("training.commands_recogniser", "recogniser", "Train the recogniser of lines.", "train"),
    "train prune": Lazy("training.commands_prune", "prune", "Make a narrower recogniser from a trained one.", "train"),
    "train mean": Lazy("training.commands_mean", "mean", "Take the mean of several recognisers' weights.", "train"),
    "train names": Lazy("training.commands_names", "names", "Count letters of names, to choose between readings.", "train"),
    "train confusions": Lazy(
        "training.commands_confusions",
        "confusions",
        "Count what the recogniser takes for what, for the look-up of shops.",
        "train",
    ),
    "train calibration": Lazy(
        "training.commands_calibration", "calibration", "Fit the probabilities of links, and measure them.", "train"
    ),
    "train matching": Lazy(
        "training.commands_features", "matching", "Fit what picture features tell about two photos of an advert.", "train"
    ),
    "export easyocr": Lazy(
        "training.commands_export", "easyocr", "Write the recogniser in the form that EasyOCR loads.", "train"
    ),
    "export onnx": Lazy("training.commands_export", "onnx", "Write trained weights as ONNX.", "train"),
    "export openvino": Lazy("training.commands_export", "openvino", "Write a model in OpenVINO's own form.", "openvino"),
    "export int8": Lazy("training.commands_export", "int8", "Write the INT8 form of a model.", "train"),
    "compare": Lazy("training.commands_compare", "compare", "Compare two models on the same photos.", "train"),
    "promote": Lazy("training.commands_promote", "promote", "Put a model into use, if it keeps every limit.", "train"),
    "evaluate": Lazy("training.commands_evaluate", "evaluate", "Measure results against a truth file, slice by slice."),
    "evaluate-together": Lazy(
        "training.commands_together", "evaluate_together", "Measure what reading several photos of an advert together gains."
    ),
    "clusters list": Lazy("linking.commands_clusters", "list_clusters", "List the clusters of a store, the largest first."),
    "clusters show": Lazy("linking.commands_clusters", "show", "Show one cluster, its sightings and what happened to it."),
    "clusters merge": Lazy("linking.commands_clusters", "merge", "Make two clusters one, for good."),
    "clusters split": Lazy("linking.commands_clusters", "split", "Take sightings out of a cluster, for good."),
    "clusters stencils": Lazy("linking.commands_clusters", "stencils", "List the stencils and where each was sprayed."),
    "clusters replay": Lazy("linking.commands_clusters", "replay", "Check that the log of clusters gives what the tables say."),
    "benchmark store": Lazy(
        "training.commands_benchmark_store", "store", "Measure how fast sightings are placed in a small store and in a full one."
    ),
    "benchmark readers": Lazy(
        "training.commands_benchmark", "readers", "Measure speed, memory and accuracy of readers on the same photos.", "peers"
    ),
    "benchmark limits": Lazy(
        "training.commands_benchmark_limits",
        "limits",
        "Measure decoding, memory and arithmetic here, and the least time of a photo.",
        "train",
    ),
    "benchmark score": Lazy(
        "training.commands_benchmark_score",
        "score",
        "Measure scoring in rounds with other readers, and against the least time of a photo.",
        "peers",
    ),
    "benchmark growth": Lazy(
        "training.commands_benchmark_score", "growth", "Measure whether memory and cost of a photo grow with the length of a run."
    ),
    "benchmark workers": Lazy(
        "training.commands_benchmark_score", "workers", "Measure what a second worker process gains, and further ones."
    ),
    "benchmark service": Lazy(
        "training.commands_benchmark_service", "service", "Measure the service under load, and under kill -9.", "serve"
    ),
    "benchmark placing": Lazy(
        "training.commands_benchmark_placing",
        "placing",
        "Measure how many scored photos per second go into a store, by the photos in one transaction.",
        "postgres",
    ),
    "benchmark queue": Lazy(
        "training.commands_benchmark_queue", "queue", "Measure a page of the experts' queue in a store with many adverts."
    ),
    "benchmark register": Lazy(
        "training.commands_benchmark_register", "register", "Measure the look-up of known contacts in a register of any size."
    ),
    "serve": Lazy("service.commands", "serve", "Serve the API for the intake system and the review desk.", "serve"),
    "sample": Lazy("service.commands_sample", "sample", "Fill a new store with sample reports, to try the desk with.", "serve"),
    "work": Lazy("service.commands", "work", "Read the photos of reports that the service took in.", "serve"),
    "keys create": Lazy("service.commands", "create_key", "Make an API key and show it, once.", "serve"),
    "keys list": Lazy("service.commands", "list_keys", "List the API keys of a store.", "serve"),
    "keys revoke": Lazy("service.commands", "revoke_key", "End an API key at once.", "serve"),
    "audit verify": Lazy("service.commands_data", "verify", "Verify the audit chain of a store, and evidence packs.", "serve"),
    "vault rotate": Lazy("service.commands_data", "rotate", "Encrypt reporters' data with the newest key.", "serve"),
    "retention run": Lazy("service.commands_retention", "run", "Erase what has been kept as long as it may be.", "serve"),
    "people add": Lazy("service.commands_people", "add", "Add a person who signs in to the service.", "serve"),
    "people list": Lazy("service.commands_people", "list_people", "List the people who sign in.", "serve"),
    "people set": Lazy("service.commands_people", "change", "Change a person's roles, or sign them out.", "serve"),
    "people reset": Lazy("service.commands_people", "reset", "Give a person a new password, shown once.", "serve"),
}
"""Every command by the words that call it."""

GROUPS = {
    "dataset": "Data sets: check, count, convert, divide, merge; corrections to labels; what to label next.",
    "models": "The model files: list them, verify them, read their cards, go back to an earlier one.",
    "db": "The store: set it up, check it.",
    "shops": "The shops in the store: lists in and out, merge, split, propose.",
    "resources": "The resources in the store, and their way from a wall to a block.",
    "train": "Train the models again.",
    "export": "Write models in the forms of other programs.",
    "clusters": "The clusters of a store: list them, show, merge and split them, check their log.",
    "keys": "API keys of systems that call the service.",
    "people": "People who sign in to the service.",
    "audit": "The log of all changes, and evidence packs made from it.",
    "vault": "Reporters' data, encrypted.",
    "retention": "What is erased when.",
    "benchmark": "Measure speed and accuracy, so that anyone can measure again.",
}

EXIT_CODES = {
    ExitCode.OK: "everything done",
    ExitCode.SOME_FAILED: "done, and some photos failed, or a check found something wrong",
    ExitCode.USAGE: "wrong use, nothing done",
    ExitCode.NOTHING_SCORED: "no photo could be scored",
    ExitCode.BROKEN_INSTALLATION: "a model or library is missing or damaged",
    ExitCode.REFUSED: "a model was not promoted: a limit is not kept",
    ExitCode.INTERRUPTED: "interrupted, what was finished is kept",
}

_EPILOG = "Exit codes: " + "; ".join(f"{int(code)} {meaning}" for code, meaning in EXIT_CODES.items()) + "."


def load(words: str) -> Any:
    """Import the room of a command and return the command, ready to be run by typer."""
    lazy = COMMANDS[words]
    try:
        function = getattr(importlib.import_module(f".{lazy.module}", __package__), lazy.function)
    except ImportError as error:
        raise _missing_library(words, error) from error
    app = typer.Typer(add_completion=False)
    app.command(name=words.split()[-1], no_args_is_help=False)(_with_exit_code(words, function))
    return typer.main.get_command(app)


def _with_exit_code(words: str, function: Callable[..., object]) -> Callable[..., object]:
    """Turn what a command returns into its exit code, and a missing library into a sentence that names the extra to install."""

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> None:
        try:
            result = function(*args, **kwargs)
        except ImportError as error:
            raise _missing_library(words, error) from error
        if isinstance(result, int):
            raise typer.Exit(int(result))

    return run


def _missing_library(words: str, error: ImportError) -> TagtraceError:
    package = __package__ or "tagtrace"
    if error.name is None or error.name.split(".")[0] == package:
        return BrokenInstallationError(f"{words}: the installation is damaged ({error}); install tagtrace again")
    extra = COMMANDS[words].extra
    wanted = f"{package}[{extra}]" if extra else package
    return BrokenInstallationError(
        f"{words}: needs the library {error.name!r}, which is missing or damaged; install it with: pip install '{wanted}'"
    )


class LazyGroup(TyperGroup):
    """A group whose commands are listed from ``COMMANDS`` and imported when one of them is called."""

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """The command that the words in ``args`` name, imported, and the arguments left for it."""
        name, command, rest = super().resolve_command(ctx, args)
        words = f"{self.name} {name}" if self.name in GROUPS else name
        return name, load(words) if words in COMMANDS else command, rest


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"tagtrace {__version__}")
        raise typer.Exit


def _options(
    _version: bool = typer.Option(
        False, "--version", help="Show the version and exit.", callback=_print_version, is_eager=True, show_default=False
    ),
) -> None:
    """Find drug adverts in photos of walls, read them, and extract their contacts.

    Example: tagtrace score photos/ --shops shops.csv --out results
    """


def _listed() -> None:
    """Stands in the list of commands; ``LazyGroup`` puts the imported command in its place before anything runs."""


def build_app() -> typer.Typer:
    """The whole command line as a typer application, with no room imported."""
    settings = {"help_option_names": ["-h", "--help"]}
    app = typer.Typer(cls=LazyGroup, no_args_is_help=True, epilog=_EPILOG, context_settings=settings)
    app.callback()(_options)
    groups: dict[str, typer.Typer] = {}
    for words, lazy in COMMANDS.items():
        group, _, name = words.rpartition(" ")
        if group and group not in groups:
            groups[group] = typer.Typer(cls=LazyGroup, no_args_is_help=True, help=GROUPS[group])
            app.add_typer(groups[group], name=group)
        (groups[group] if group else app).command(name=name, help=lazy.summary)(_listed)
    return app


def run(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit code; ``arguments`` without the program's name, from ``sys.argv`` if None."""
    command = typer.main.get_command(build_app())
    try:
        command.main(args=arguments, prog_name="tagtrace")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except TagtraceError as error:
        typer.secho(f"tagtrace: {error}", fg=typer.colors.RED, err=True)
        return int(error.exit_code)
    except KeyboardInterrupt:
        return int(ExitCode.INTERRUPTED)
    return int(ExitCode.OK)


def main() -> NoReturn:
    """The program ``tagtrace``."""
    sys.exit(run())


if __name__ == "__main__":
    main()
