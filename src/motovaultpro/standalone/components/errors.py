"""What goes wrong with a component, as one sentence that names the fix."""


class ComponentError(Exception):
    """A component cannot be prepared or started."""


class PortTakenError(ComponentError):
    """A fixed port is in use."""
