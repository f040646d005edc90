@rem Starts the application in Python's isolated mode; see the file `zhiyin` beside this one.
@"%~dp0python.exe" -I -m desktop_app.cli %*
