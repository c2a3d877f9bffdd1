"""Retraining the network's last layer, or its last stages, on labelled photos."""
