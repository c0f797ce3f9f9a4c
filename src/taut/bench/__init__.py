"""What layers, bounds and training cost beside plain torch and beside other libraries: `taut bench`."""
