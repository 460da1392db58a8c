"""`python -m motovaultpro.cli` is `motovault`: how the supervisor starts our services, wherever scripts are installed."""

from motovaultpro.cli import app

if __name__ == "__main__":
    app()
