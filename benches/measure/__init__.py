"""What the benches measure, and with what: a module for each topic, and those that all of them use.

    peers      who is compared, where each comes from, and how it is started
    servers    a server that runs: its processes, their processor time and memory
    clients    who asks
    turns      several servers asked by turns, and how figures are told
"""
