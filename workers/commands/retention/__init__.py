"""`marketlens retention` and `marketlens erase`."""
