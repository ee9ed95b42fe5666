"""Letta's App Server behind the V1 routes that the harness uses: one process, the translator.

    harness  --V1 routes-->  translator  --frames on a WebSocket-->  App Server
    model    <--OpenAI-----  translator  <--OpenAI, for an agent---  App Server

`translator` serves both faces, `program` is the App Server as its child; `conversation` is one agent,
`connection` its WebSocket, `gateway` its way to the model.
"""
