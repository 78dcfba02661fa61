"""Elementary maps that data place, one by one, each the step that raises their likelihood most."""
