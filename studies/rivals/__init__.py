"""Turned filters beside turned pictures: at equal parameters, multiply-adds and training time, and with few labels."""
