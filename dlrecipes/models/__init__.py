"""Model builders: functions that return an uncompiled `keras.Model`."""
