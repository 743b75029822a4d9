"""unseen: look for what nobody predicted, with a calibrated p-value."""
