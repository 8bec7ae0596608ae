"""What a reload of the settings can change while the product runs."""

import msgspec

from proxy.config.structs import Settings

RELOADED = frozenset(
    {"routes", "clients", "default_route", "prices", "unpriced", "agents", "policies"}
)


def reloadable(old: Settings, new: Settings) -> list[str]:
    """Give the dotted keys that changed and take effect only after a restart; empty: the new settings can be taken whole."""
    return [
        key
        for name in Settings.__struct_fields__
        if name not in RELOADED
        for key in _changed(getattr(old, name), getattr(new, name), name)
    ]


def reloaded(old: Settings, new: Settings) -> Settings:
    """Give the settings that are in force after a reload: the new ones, as far as they need no restart."""
    return msgspec.structs.replace(old, **{name: getattr(new, name) for name in RELOADED})  # fmt: skip


def _changed(old: object, new: object, path: str) -> list[str]:
    if old == new:
        return []
    if isinstance(old, msgspec.Struct) and isinstance(new, type(old)):
        names = type(old).__struct_fields__
        return [
            key
            for name in names
            for key in _changed(
                getattr(old, name), getattr(new, name), f"{path}.{name}"
            )
        ]
    return [path]
