"""ClickHouse inside: chDB in a process of its own, behind ClickHouse's HTTP interface.

Nothing outside this package knows that the server it talks to is embedded. The PyPI build of chDB has the whole engine but
not its listener, so the HTTP face is written here. `collector.embedded` runs it, in a process of its own:

    server      one HTTP request: who asks, what is asked, how the answer is packed
    origin      requests that other people's web pages make browsers send
    accounts    who may ask
    admission   what the one who asks may do and use
    memory      what readers' queries take theirs from
    refusals    who was turned away
    rights      how readers are held to reading, and to their workspaces
    request     the parameters and headers of a request
    reading     what a reader's statement is
    formatting  that, as the engine writes it
    policies    what it must not have, since it leads around the policies that hide rows
    statement   what kind of statement it is, where its data begins
    engine      connections to chDB, running and cancelling statements
    sessions    connections that outlive a request
    data        the body of an INSERT, on its way to the engine
    answer      headers, compression, errors after the first byte
    native      blocks in the shape that newer native clients ask for
    codecs, block_compression, city_hash
                Content-Encoding, and ClickHouse's own compressed blocks
    errors      the engine's error text, and the HTTP status for its code
    engine_config
                memory, threads, rights: what the engine is told at its start
"""
