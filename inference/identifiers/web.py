"""Domains, web addresses and e-mail: canonical forms, and the grammar that finds them in painted and typed lines.

Canonical web address: host in lower-case ASCII (an international name as punycode), without scheme, ``www.`` and default
port, then the path and query where there are any; no trailing slash, no fragment. Suffixes come from tldextract's bundled
snapshot of the Public Suffix List; nothing is fetched and no cache is written.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

import idna
import tldextract

from ...contract import Flag, IdentifierKind
from .base import Found, Source, View, free
from .fold import Likeness, fold_char
from .protected import bundled

COMMON_SUFFIXES = frozenset(
    "kz ru com net org biz info su top xyz shop store club site online pro cc io me to ws tv co app dev link live vip space "
    "website tech fun icu one life world best market cloud digital kg uz by ua de uk eu nl ch is in us pw la st mobi "
    "name asia".split()
)
"""Suffixes frequent enough that a bare ``name.suffix`` on a wall is taken for a domain."""
CYRILLIC_SUFFIXES = frozenset("рф қаз рус укр бел мкд срб онлайн сайт".split())
MAIL_HOSTS = frozenset(
    "gmail.com mail.ru yandex.ru yandex.kz ya.ru bk.ru list.ru inbox.ru rambler.ru proton.me protonmail.com pm.me tutanota.com "
    "tuta.io outlook.com hotmail.com icloud.com yahoo.com".split()
)
_ABBREVIATIONS = frozenset("ул пр тел тц трц мкр им кв стр корп обл оф каб эт под сот моб факс".split())
_TAIL_REPAIR = str.maketrans({"2": "z", "1": "l", "0": "o", "5": "s", "8": "b"})
_EXTRACT = tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None, fallback_to_snapshot=True)

_LETTER = "a-z0-9а-яёәғқңөұүһіїєґ"
_LABEL = rf"[{_LETTER}](?:[{_LETTER}_-]{{0,61}}[{_LETTER}])?"
_SCHEME = r"(?:[hн][tт7]{1,2}[pр]\s?[s5ѕ]?\s?[:;.,]?\s?(?:/{1,3}|[|\\l1]{2})\s?|https?:\s?)"
_WWW = r"(?:w{3,4}|vvw|wvv)\s?[.,]\s?"
_PATH = r"(?P<port>:\d{2,5})?(?P<path>[/?][^\s<>\"«»]*)?"
# a speck before the first letter is read as a dot or dash: there, and only there, one may stand
_STRICT = re.compile(rf"(?:(?<![\w@.-])|(?<=^[.-]))(?P<host>{_LABEL}(?:\.{_LABEL})+)(?![\w@-]){_PATH}")
_LOOSE = re.compile(
    rf"(?<![^\W_])(?:{_SCHEME}(?:{_WWW})?|{_WWW})(?P<host>{_LABEL}(?:\s?[.,·]{{1,2}}\s?{_LABEL})+)(?![\w@-]){_PATH}"
)
_EMAIL = re.compile(rf"(?<![\w@.+-])(?P<local>[a-z0-9][a-z0-9._%+-]{{0,63}})@(?P<host>{_LABEL}(?:\.{_LABEL})+)(?![\w@-])")
_LDH = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)")


@dataclass(frozen=True, slots=True)
class Address:
    """One web address found in a text: canonical host, path as written, where, and how surely it is one."""

    host: str
    path: str
    start: int
    end: int
    core: tuple[int, int]
    form: float
    flags: tuple[Flag, ...]


def to_ascii(host: str) -> str | None:
    """Lower-case ASCII form of a host name (UTS-46, punycode for international labels), or None when it is not one."""
    host = host.strip().rstrip(".").lower()
    if not host or len(host) > 253:
        return None
    if host.isascii():
        return host if all(_LDH.fullmatch(label) for label in host.split(".")) else None
    try:
        return idna.encode(host, uts46=True).decode("ascii").lower()
    except (idna.IDNAError, UnicodeError):
        return None


@lru_cache(maxsize=2048)
def split_host(host: str) -> tuple[str, str]:
    """(registrable name without its suffix, public suffix) of an ASCII host; empty strings where there is none."""
    found = _EXTRACT(host)
    return found.domain, found.suffix


def is_domain(host: str) -> bool:
    """Whether an ASCII host name ends in a public suffix and has a name before it."""
    domain, suffix = split_host(host)
    return bool(domain and suffix)


def _tidy_path(path: str) -> str:
    path = path.split("#")[0].rstrip(".,;:!»)]}'\"")
    return path.rstrip("/?")


def page_on(host: str, path: str) -> str:
    """What of ``path`` belongs to the resource: all of it on a host that many share, nothing on a site's own host.

    A shop's site is blocked as a whole, so that ``shop.kz/menu`` and ``shop.kz`` are one resource; on ``telegra.ph`` the page is.
    """
    labels = host.split(":")[0].split(".")
    shared = bundled().shared_hosts
    return path if any(".".join(labels[i:]) in shared for i in range(len(labels))) else ""


def canonical_url(url: str) -> str | None:
    """Canonical form of a literal web address, or None when it has no proper host: see ``page_on``. Idempotent."""
    match = re.match(
        r"^(?:https?:/{0,2})?(?:[^/?#@\s]*@)?(?P<host>[^/?#:\s]+)(?::(?P<port>\d{1,5}))?(?P<path>[/?#]\S*)?$", url.strip(), re.I
    )
    if not match:
        return None
    host = to_ascii(match["host"])
    if host is None or not is_domain(host):
        return None
    while host.startswith("www.") and is_domain(host[4:]):
        host = host[4:]
    port = "" if match["port"] in (None, "80", "443") else ":" + str(match["port"])
    return host + port + page_on(host, _tidy_path(match["path"] or ""))


def canonical_email(text: str) -> str | None:
    """Lower-case address with an ASCII host, or None when it is not an e-mail address."""
    local, at, host = text.strip().rpartition("@")
    ascii_host = to_ascii(host) if at else None
    if not ascii_host or not is_domain(ascii_host) or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._%+-]{0,63}", local):
        return None
    return f"{local.lower()}@{ascii_host}" if ".." not in local and not local.endswith(".") else None


def _fold_label(label: str) -> tuple[str, bool] | None:
    """A label with look-alikes folded where it mixes alphabets, and whether any was; None when it cannot be folded."""
    letters = [c for c in label if c.isalpha()]
    foreign = [c for c in letters if not c.isascii()]
    if not foreign:
        return label.lower(), False
    folded = [fold_char(c) if c != "-" else ("-", Likeness.LATIN) for c in label]
    exact = all(f is not None and f[1] <= Likeness.EXACT for f in folded)
    mixed = len(foreign) < len(letters)
    if not mixed and not exact:
        return label.lower(), False
    if any(f is None or f[1] > Likeness.STREET for f in folded):
        return None
    return "".join(f[0] for f in folded if f), True


def _fold_host(labels: list[str], source: Source) -> tuple[str, tuple[Flag, ...], float] | None:
    """ASCII host of painted labels, remarks, and a factor on its form; None when no suffix fits."""
    flags: list[Flag] = []
    form = 1.0
    tail = labels[-1].lower()
    if not tail.isascii() and tail not in _EXTRACT.tlds:
        folded = _fold_label(labels[-1])
        tail_folded = "".join(f[0] if (f := fold_char(c)) else c for c in labels[-1])
        tail = tail_folded if tail_folded.isascii() else tail
        flags += [Flag.MIXED_SCRIPT] if folded else []
    if tail not in _EXTRACT.tlds and source is Source.PAINTED:
        for fixed in (tail.translate(_TAIL_REPAIR), tail.replace("rn", "m"), tail.replace("vv", "w"), tail.replace("l", "i")):
            if fixed in _EXTRACT.tlds and fixed in COMMON_SUFFIXES:
                tail, form = fixed, 0.8
                flags.append(Flag.REPAIRED)
                break
    if tail not in _EXTRACT.tlds:
        return None
    out = []
    for label in labels[:-1]:
        folded = _fold_label(label) if tail.isascii() and not tail.startswith("xn--") else (label.lower(), False)
        if folded is None:
            return None
        text = folded[0]
        if folded[1]:
            flags.append(Flag.MIXED_SCRIPT)
        if "_" in text:
            text, form = text.replace("_", "-"), form * 0.8
            flags.append(Flag.REPAIRED)
        out.append(text)
    host = to_ascii(".".join([*out, tail]))
    return (host, tuple(dict.fromkeys(flags)), form) if host and is_domain(host) else None


def _bare_form(host: str, labels: list[str], view: View, start: int) -> float:
    """How surely a bare ``name.suffix`` is a web address."""
    domain, suffix = split_host(host)
    last = suffix.rsplit(".", 1)[-1]
    unicode_last = labels[-1].lower()
    if not any(c.isalpha() for c in domain) or len(domain) < 2 or labels[0].lower() in _ABBREVIATIONS:
        return 0.2
    if not unicode_last.isascii():
        form = 0.88 if unicode_last in CYRILLIC_SUFFIXES or last in COMMON_SUFFIXES else 0.3
    else:
        form = 0.93 if last in COMMON_SUFFIXES else 0.62 if len(domain) >= 5 else 0.45
    if re.search(r"[a-z0-9_-]\s$", view.latin[:start]):  # a hyphen or underscore read as a space?
        form *= 0.6
    return form


def _address(view: View, match: re.Match[str], source: Source, anchored: bool) -> Address | None:
    host_text = view.text[match.start("host") : match.end("host")]
    labels = [p for p in re.split(r"\s?[.,·]+\s?", host_text) if p]
    folded = _fold_host(labels, source)
    if folded is None:
        return None
    host, flags, factor = folded
    while host.startswith("www.") and is_domain(host[4:]):
        host = host[4:]
    path = _tidy_path(view.text[match.start("path") : match.end("path")]) if match["path"] else ""
    if source is Source.PAINTED and len(re.sub(r"\W", "", path)) < 2:
        path = ""
    literal = re.fullmatch(r"[^\s,·]+", host_text) is not None
    form = (0.98 if literal else 0.85) if anchored else _bare_form(host, labels, view, match.start())
    if path and not anchored:
        form = max(form, 0.9) if len(labels[-1]) >= 2 and form >= 0.5 else form
    if match["port"] and match["port"] not in (":80", ":443"):
        host += match["port"]
    end = match.end("path") if path else match.end("host")
    return Address(host, path, match.start(), end, (match.start("host"), end), form * factor, flags)


def find_addresses(view: View, source: Source, spans: list[tuple[int, int]]) -> list[Address]:
    """All web addresses in one line, outside the stretches in ``spans``."""
    if not re.search(r"[.,·]", view.text):
        return []
    out: list[Address] = []
    taken = list(spans)
    for pattern, anchored in ((_LOOSE, True), (_STRICT, False)):
        for match in pattern.finditer(view.lower):
            if not free(taken, match.start(), match.end("host")):
                continue
            address = _address(view, match, source, anchored)
            if address:
                out.append(address)
                taken.append((address.start, address.end))
    return out


def find_emails(view: View, source: Source) -> list[Found]:
    """All e-mail addresses in one line (whether one is a Jabber address is for ``social`` to say)."""
    if "@" not in view.text:
        return []
    out = []
    for match in _EMAIL.finditer(view.latin):
        value = canonical_email(f"{match['local']}@{match['host']}")
        if value is None or match["local"] in ("tg", "telegram", "telega"):
            continue
        host = value.rpartition("@")[2]
        form = 0.97 if host in MAIL_HOSTS else 0.85 if split_host(host)[1] in COMMON_SUFFIXES else 0.6
        mixed = view.lower[match.start() : match.end()] != match.group()
        flags = (Flag.MIXED_SCRIPT,) if mixed else ()
        out.append(Found(IdentifierKind.EMAIL, value, match.start(), match.end(), match.span(), form, flags=flags))
    return out
