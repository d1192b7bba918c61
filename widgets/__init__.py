"""The widget library, imported as workbench.widgets."""
