"""Only what pyproject.toml cannot say: a wheel carries the suites as ``stabbench/_suites``."""

from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py


class BuildWithSuites(build_py):
    """Copies ``suites/`` into the package; an editable installation reads it where it is."""

    def run(self) -> None:
        """Build as usual, then copy."""
        super().run()
        if not self.editable_mode:
            for suite in (*sorted(Path("suites").glob("*.yaml")), Path("suites", "bench_latency.py")):
                target = Path(self.build_lib, "stabbench", "_suites", suite.name)
                self.mkpath(str(target.parent))
                self.copy_file(str(suite), str(target))


setup(cmdclass={"build_py": BuildWithSuites})
