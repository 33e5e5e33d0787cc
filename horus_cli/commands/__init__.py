"""The commands, one a module: command NAME is the attribute ``command`` of NAME.py; the commands of a group are in a package
beside this one. A module is imported when its command is used, and imports what is heavy in the function that needs it.
"""
