"""The playground on the command line."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pushforward.cli.options import Quiet, given_path
from pushforward.cli.terminal import say

if TYPE_CHECKING:
    from pushforward.playground.pictures import Pictures

# Images that the page can begin with.
_IMAGES = 200


def register(app: typer.Typer) -> None:
    """Add the commands to a command line."""
    app.command()(play)
    app.command()(play_site)


_RUN = "A training of grey images, such as the demo's (runs/demo), whose latents the page moves."


def play(
    folder: Annotated[
        Path | None, typer.Argument(metavar="[RUN]", parser=given_path, help=_RUN, show_default=False)
    ] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port of this machine; 0 for any that is free.")] = 0,
    browser: Annotated[bool, typer.Option("--open/--no-open", help="Open the page in the browser.")] = True,
    quiet: Quiet = False,
) -> None:
    """Watch a flow learn a density of the plane, in the browser: serves one page on this machine until Ctrl-C."""
    import torch

    from pushforward.playground import serve

    torch.set_num_threads(1)

    def opened(address: str) -> None:
        print(address, flush=True)
        say("The playground is open there, on this machine only; Ctrl-C closes it.", quiet)
        if browser:
            import webbrowser

            webbrowser.open(address)

    serve(None if folder is None else _pictures(folder), port, opened)


def play_site(
    out: Annotated[
        Path, typer.Argument(metavar="FOLDER", parser=given_path, help="Where the page goes.", show_default=False)
    ],
    runtime: Annotated[
        Path,
        typer.Option(
            metavar="FILE",
            parser=given_path,
            help="The package of onnxruntime-web, as npm pack onnxruntime-web downloads it.",
            show_default=False,
        ),
    ],
    folder: Annotated[
        Path | None, typer.Option("--run", metavar="RUN", parser=given_path, help=_RUN, show_default=False)
    ] = None,
    steps: Annotated[int, typer.Option(min=1, help="Steps of training of each flow.")] = 1_500,
    quiet: Quiet = False,
) -> None:
    """Write the playground as plain files that need no server: trained flows that run in the browser itself."""
    import torch

    from pushforward.playground import write_site

    torch.manual_seed(0)
    write_site(
        out, runtime, None if folder is None else _pictures(folder), steps=steps, told=lambda text: say(text, quiet)
    )
    print(out)


def _pictures(folder: Path) -> Pictures:
    from pushforward.cli.run_data import run_data
    from pushforward.cli.runs import open_run
    from pushforward.playground.pictures import Pictures

    run, flow = open_run(folder)
    return Pictures(flow, run_data(run, None).test[:_IMAGES])
