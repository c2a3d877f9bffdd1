"""What the intake's commands do: settings become values, a run becomes a report."""
