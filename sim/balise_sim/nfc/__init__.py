"""The NFC side of the world: cards, a PN532 on a serial line, and a PC/SC reader, all without hardware.

    from balise_sim.nfc.cards import ntag21x
    from balise_sim.nfc.pn532_tty import Pn532Tty

    card = ntag21x.Model(bytes.fromhex("04a1b2c3d4e5f6"))
    card.set_ndef(message)                                 # an NDEF message as bytes
    with Pn532Tty(folder / "reader", pace=0) as reader:    # a serial device at that path; pace=1.0: in real time
        reader.lay(card)
        ...                                                # any driver, at reader.path
        reader.tear_away_after(3)                          # the card answers three commands more, then it is gone
        reader.faults.switch_on("no_ack", times=1)         # faults.NAMES says which there are
        reader.take_away()                                 # all cards, or take_away(card)
        reader.leave_at(921_600)                           # a host crashed at that speed; reader.cut_power() ends it
        reader.unplug()                                    # reader.path is gone, the open line ends
        reader.replug()

Leaves out radio noise, other kinds of cards than ISO 14443 type A, and the chip as a target.
"""
