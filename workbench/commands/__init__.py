"""The command line: ``workbench run``, ``app``, ``lab``, ``list``, ``doctor``."""
