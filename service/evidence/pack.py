"""Making an evidence pack and verifying it.

``manifest.json`` names every other file with its SHA-256; its own SHA-256 goes into the audit log. So a pack alone
shows whether its files are those that it was made with and its audit entries hash as they say; together with the store it
shows that this very pack was made there, and that its entries stand in an unbroken chain.
"""

from __future__ import annotations

import hashlib
import io
import itertools
import json
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ... import __version__
from ...contract import TagtraceError
from ...linking.store import Store, audit, casefile
from .agreement import disagreements
from .pdf import Lang, render

MANIFEST, CASE, REPORT = "manifest.json", "case.json", "report.pdf"
SUMS, VERIFY = "SHA256SUMS", "VERIFY.txt"
FORMAT = "tagtrace.evidence"
_MOST_PICTURES = 60
_MOST_BYTES = 1_000_000_000
"""What the files of a pack that is verified may have, unpacked."""
_EPOCH = (1980, 1, 1, 0, 0, 0)
_VERIFY = """How to verify this pack

With tagtrace, by the ZIP alone:                 tagtrace audit verify pack.zip
With tagtrace and the store that it came from:   tagtrace audit verify pack.zip --store city.db
With nothing but coreutils, unpacked:            sha256sum -c SHA256SUMS

By the ZIP alone it shows that no file was changed, added or taken away since the list of files was written; that the audit
entries hash as they say and follow each other; and that decisions, steps of resources and proposals are those of the entries.
Only the store shows that this very pack was made from it, and that its entries stand in an unbroken log: the SHA-256 of
manifest.json is in the log.

The hash of an entry is SHA-256 over the UTF-8 JSON (keys sorted, no spaces) of number, at, actor, action, object, details and
previous; "previous" is the hash of the entry before it.
"""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was checked: what it is, and whether it is as it should be."""

    what: str
    right: bool


def build(
    case: Mapping[str, Any],
    picture_of: Callable[[str, list[Any]], bytes | None],
    originals: Mapping[str, bytes],
    actor: str,
    lang: Lang,
    zone: str,
) -> tuple[bytes, str]:
    """The pack of a case as ZIP, and the SHA-256 of its manifest.

    ``picture_of`` gives the derivative of an advert (photo, quad), or None where the photo is not kept. ``originals`` are
    the bytes of photos by SHA-256, for those who may have them. ``zone`` is for times shown to people.
    """
    now = datetime.now(UTC)
    files: dict[str, bytes] = {}
    for advert in case["adverts"][:_MOST_PICTURES]:
        shown = picture_of(advert["photo"]["sha256"], advert["quad"])
        if shown is not None:
            files[f"pictures/{advert['photo']['sha256']}-{advert['number']}.jpg"] = shown
    files |= {f"originals/{sha256}": data for sha256, data in originals.items()}
    whole = {"format": FORMAT, "version": 1, "made_at": now, "made_by": actor, "tagtrace": __version__, **case}
    files[CASE] = _dump(whole)
    files[VERIFY] = _VERIFY.encode("utf-8")
    files[REPORT] = render(whole, {name: data for name, data in files.items() if name.startswith("pictures/")}, lang, zone)
    files[SUMS] = "".join(f"{_sha256(data)}  {name}\n" for name, data in sorted(files.items())).encode("utf-8")
    listed = {name: {"sha256": _sha256(data), "bytes": len(data)} for name, data in sorted(files.items())}
    manifest = _dump({"format": FORMAT, "version": 1, "made_at": now, "made_by": actor, "files": listed})
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in [(MANIFEST, manifest), *sorted(files.items())]:
            archive.writestr(zipfile.ZipInfo(name, _EPOCH), data)
    return buffer.getvalue(), _sha256(manifest)


def verify(path: Path, store: Store | None = None) -> list[Finding]:
    """Check a pack, and with ``store`` that it was made there. Raises ``TagtraceError`` where the file is no pack."""
    files, manifest, case = _read(path)
    found = _check_files(files, manifest)
    entries = case.get("audit", [])
    wrong = [
        entry["number"] for entry in entries if audit.entry_hash(*(entry[n] for n in casefile.AUDIT_FIELDS[:-1])) != entry["hash"]
    ]
    found.append(Finding(f"{len(entries)} audit entries hash as they say" + (f", but {wrong}" if wrong else ""), not wrong))
    numbers = [entry["number"] for entry in entries]
    pairs = [(a, b) for a, b in itertools.pairwise(entries) if b["number"] == a["number"] + 1]
    chained = numbers == sorted(set(numbers)) and all(b["previous"] == a["hash"] for a, b in pairs)
    found.append(Finding("audit entries that follow each other are chained", chained))
    found.append(Finding("the audit chain was whole when the pack was made", bool(case.get("audit_head", {}).get("intact"))))
    wrong_words = disagreements(case)
    words = f", but not {', '.join(wrong_words)[:400]}" if wrong_words else ""
    found.append(Finding(f"decisions, steps and proposals are those of the audit entries{words}", not wrong_words))
    same = all(case.get(name) == manifest.get(name) for name in ("made_at", "made_by"))
    found.append(Finding("the case and the list of files are of the same pack", same))
    if store is not None:
        found += _check_store(store, _sha256(files[MANIFEST]), entries, case)
    return found


def _check_files(files: Mapping[str, bytes], manifest: Mapping[str, Any]) -> list[Finding]:
    listed = manifest["files"]
    found = [
        Finding(f"{name} is as it was", name in files and _sha256(files[name]) == about["sha256"])
        for name, about in listed.items()
    ]
    strange = sorted(set(files) - set(listed) - {MANIFEST})
    found.append(Finding("nothing was added" + (f", but {', '.join(strange)[:200]}" if strange else ""), not strange))
    originals = {name: data for name, data in files.items() if name.startswith("originals/")}
    if originals:
        right = all(_sha256(data) == name.removeprefix("originals/") for name, data in originals.items())
        found.append(Finding(f"{len(originals)} originals are the photos that they are called", right))
    return found


def _check_store(store: Store, digest: str, entries: list[dict[str, Any]], case: Mapping[str, Any]) -> list[Finding]:
    with store.read() as session:
        broken = audit.verify_audit(session)
        made = casefile.pack_of(session, digest)
        missing = [entry["number"] for entry in entries if not casefile.holds(session, entry)]
    head = case.get("audit_head", {}).get("number", 0)
    words = f"entry {broken.number} {broken.what}" if broken else "no entry was altered or is missing"
    return [
        Finding(f"audit chain of the store: {words}", broken is None),
        Finding("this pack was made from this store", made is not None and made > head),
        Finding("its audit entries stand in this store" + (f", but {missing}" if missing else ""), not missing),
    ]


def _read(path: Path) -> tuple[dict[str, bytes], dict[str, Any], dict[str, Any]]:
    try:
        with zipfile.ZipFile(path) as archive:
            infos = archive.infolist()
            names = [info.filename for info in infos]
            if sum(info.file_size for info in infos) > _MOST_BYTES or len(names) != len(set(names)):
                raise TagtraceError(f"{path}: is too large for a pack, or holds a file twice")
            files = {name: archive.read(name) for name in names}
        manifest, case = json.loads(files[MANIFEST]), json.loads(files[CASE])
        if manifest["format"] != FORMAT or not isinstance(manifest["files"], dict):
            raise KeyError("format")
    except (OSError, zipfile.BadZipFile, zlib.error, KeyError, ValueError, TypeError) as error:
        raise TagtraceError(f"{path}: is no evidence pack, or a damaged one ({error}); give the ZIP as it was made") from error
    return files, manifest, case


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _dump(value: Any) -> bytes:
    def plain(item: object) -> str:
        return item.isoformat() if isinstance(item, datetime) else str(item)

    return (json.dumps(value, ensure_ascii=False, indent=1, default=plain) + "\n").encode("utf-8")
