"""`orbitconv build-kernel`."""

from dataclasses import dataclass

from orbitconv.cli.terminal import Terminal
from orbitconv.nn.products import kernel


@dataclass(frozen=True, kw_only=True)
class BuildKernelCommand:
    """Compile the product of group layers, and the expansion of filters, for this CPU; layers use them from then on.

    Takes seconds and a C++ compiler; the result stays in the user's cache (ORBITCONV_CACHE moves it).
    """

    remove: bool = False
    """Delete the compiled kernels instead; layers use torch operations again."""

    def run(self) -> None:
        """Build or delete the kernel, and report it."""
        terminal = Terminal()
        if self.remove:
            found = kernel.remove()
            terminal.say("\n".join(f"Deleted {path}" for path in found) or "There is no kernel to delete.")
            return
        terminal.say(f"{kernel.build()} is built and checked against torch; layers use it from now on.")
