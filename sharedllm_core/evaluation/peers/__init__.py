"""Programs that a user would run instead, each in a process of its own, beside this library on the same machine.

system.py           what is measured of a program
document_files.py   documents as files
llama_server.py     llama.cpp's server
quoted_process.py   this library, reading quoted passages
turns.py            the steps of a turn
llama_cpp.py        the command that compares the two
"""
