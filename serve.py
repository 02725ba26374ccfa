"""Starts the service: ``uvicorn serve:app``, or ``python serve.py``, which also starts its workers (see ``tagtrace serve``)."""

from __future__ import annotations

from tagtrace.service.app import create_app


def __getattr__(name: str) -> object:
    """``app`` is made when somebody asks for it, so that ``python serve.py`` makes it once."""
    if name == "app":
        return create_app()
    raise AttributeError(name)


if __name__ == "__main__":
    from tagtrace.service.run import serve

    serve()
