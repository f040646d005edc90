"""`python -m desktop_app.engine`: the engine process."""

from __future__ import annotations

from desktop_app.engine.process import main

if __name__ == "__main__":
    raise SystemExit(main())
