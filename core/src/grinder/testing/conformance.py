"""The conformance cases on one plugin: as a list of results, or as the tests of a class."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, ClassVar

from grinder.errors import ConfigError
from grinder.testing.cases import CASES, Case, Result, Status
from grinder.testing.subject import Subject
from grinder.testing.target import imported


def conform(plugin: object, *, name: str = "", settings: Mapping[str, Any] | None = None) -> tuple[Result, ...]:
    """Try every case on a plugin, in order.

    Args:
        plugin: its module or object.
        name: of the plugin, when no distribution announces it and its module is not called so.
        settings: fields of its settings over the defaults, for the cases that call it.

    Raises:
        ConfigError: hypothesis is not installed.
    """
    subject = Subject(plugin, imported(plugin, name), settings)
    try:
        return tuple(results(subject))
    finally:
        subject.stop()


def results(subject: Subject) -> Iterator[Result]:
    """Each case's answer, as soon as it is known."""
    need_hypothesis()
    return (case.run(subject) for case in CASES)


def need_hypothesis() -> None:
    """Say which extra is missing.

    Raises:
        ConfigError: hypothesis is not installed.
    """
    try:
        import hypothesis  # noqa: F401 - only whether it is there
    except ImportError:
        raise ConfigError(
            "the conformance cases generate input with hypothesis, which is not installed; "
            "run: pip install 'grinder-core[testing]'"
        ) from None


class GateConformance:
    """Subclass it in a test module, name the plugin, and pytest collects each case that applies as a test of its own.

    ::

        class TestConformance(GateConformance):
            plugin = my_plugin

    Attributes:
        plugin: the plugin's module or object.
        name: of the plugin, when no distribution announces it and its module is not called so.
        settings: fields of its settings over the defaults, for the cases that call it.
    """

    plugin: Any = None
    name: str = ""
    settings: Mapping[str, Any] = MappingProxyType({})
    _subject: ClassVar[Subject | None] = None

    def __init_subclass__(cls, **options: Any) -> None:
        """Leave out the cases that do not apply to the plugin, so that pytest has nothing to skip."""
        super().__init_subclass__(**options)
        if cls.plugin is not None:
            subject = Subject(cls.plugin, imported(cls.plugin, cls.name), cls.settings)
            for case in CASES:
                if not case.applies(subject):
                    setattr(cls, case.test_name, None)

    @classmethod
    def subject(cls) -> Subject:
        """The plugin as the cases see it; the same for all of them.

        Raises:
            ConfigError: the class names no plugin.
        """
        if "_subject" not in vars(cls) or cls._subject is None:
            if cls.plugin is None:
                raise ConfigError(f"{cls.__name__} names no plugin; set plugin = the module of the plugin")
            need_hypothesis()
            cls._subject = Subject(cls.plugin, imported(cls.plugin, cls.name), cls.settings)
        return cls._subject

    @classmethod
    def teardown_class(cls) -> None:
        """Stop the plugin, if a case started it."""
        if cls._subject is not None:
            cls._subject.stop()
            cls._subject = None


def _test(case: Case) -> Callable[[GateConformance], None]:
    def test(self: GateConformance) -> None:
        import pytest

        result = case.run(self.subject())
        if result.status is Status.SKIP:
            pytest.skip(f"{case.number}: {result.why}")
        if result.status is Status.FAIL:
            pytest.fail(str(result), pytrace=False)

    test.__doc__ = f"{case.number}: {case.requirement}"
    test.__name__ = case.test_name
    test.__qualname__ = f"GateConformance.{case.test_name}"
    return test


for _case in CASES:
    setattr(GateConformance, _case.test_name, _test(_case))
