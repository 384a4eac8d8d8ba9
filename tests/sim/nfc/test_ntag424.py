"""The NTAG 424 DNA against bytes that NXP and others have published: SUN URLs, and a whole personalisation."""

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.hashes import SHA224
from hypothesis import given
from hypothesis import strategies as st

from balise_sim.nfc.cards import _aes, ntag424
from balise_sim.nfc.cards._files import DATA_ID

UID = bytes.fromhex("04DE5F1EACC040")
SELECT_APPLICATION = "00A4040C07D276000085010100"
SELECT_NDEF = "00A4000C02E104"


class Chance:
    """Random numbers that were written down."""

    def __init__(self, *numbers: str) -> None:
        self._numbers = [bytes.fromhex(number) for number in numbers]

    def __call__(self, count: int) -> bytes:
        number = self._numbers.pop(0)
        assert len(number) == count
        return number


def ask(card: ntag424.Model, command: str) -> str:
    answer = card.exchange(bytes.fromhex(command))
    assert answer is not None
    return answer.hex().upper()


def uri(card: ntag424.Model) -> str:
    """What a phone opens: a tap, the application, the file, its length, its text in two parts."""
    card.activate()
    assert ask(card, SELECT_APPLICATION) == "9000"
    assert ask(card, SELECT_NDEF) == "9000"
    length = int(ask(card, "00B0000002")[:4], 16)
    text = ask(card, "00B0000264")[:-4] + ask(card, f"00B00066{length - 0x64:02X}")[:-4]
    card.away()
    return bytes.fromhex(text)[5:].decode()


URL = "https://" + "choose.url.example/" * 3 + "ntag424?picc_data={picc}&cmac={cmac}"


def test_vector_a_of_nxp_comes_out_of_the_sixty_first_tap() -> None:
    card = ntag424.Model(UID, chance=Chance("DA5CF60941"))
    card.set_sun(URL)
    card.ndef_file.counter = 60
    assert uri(card).endswith("?picc_data=EF963FF7828658A599F3041510671E88&cmac=94EED9EE65337086")
    assert card.ndef_file.counter == 61


def test_vector_b_has_file_data_encrypted_and_covered_by_the_cmac() -> None:
    told = _aes.decrypted(bytes(16), bytes.fromhex("FD91EC264309878BE6345CBE53BADF40"))
    card = ntag424.Model(bytes.fromhex("04958CAA5C5E80"), chance=Chance(told[-5:].hex()))
    card.set_sun(URL.replace("&cmac", "&enc={enc}&cmac"))
    file = card.ndef_file
    assert file.sdm is not None
    file.content[file.sdm.enc_at : file.sdm.enc_at + 16] = b"x" * 16
    file.counter = 7
    assert uri(card).split("?")[1] == (
        "picc_data=FD91EC264309878BE6345CBE53BADF40&enc=CEE9A53E3E463EF1F459635736738962&cmac=ECC1E7F6C6C73BF6"
    )


def test_vector_c_mirrors_uid_and_counter_as_they_are() -> None:
    card = ntag424.Model(bytes.fromhex("041E3C8A2D6B80"))
    card.set_sun(URL.replace("picc_data={picc}", "uid={uid}&ctr={ctr}"))
    card.ndef_file.counter = 5
    assert uri(card).split("?")[1] == "uid=041E3C8A2D6B80&ctr=000006&cmac=4B00064004B0B3D3"


def test_vector_e_diversifies_a_key() -> None:
    master = bytes.fromhex("00112233445566778899AABBCCDDEEFF")
    what = bytes.fromhex("04782E21801D80 3042F5 4E585020416275")
    assert _aes.diversified(master, what).hex() == "a8dd63a3b89d54b37ca802473fda9175"
    with pytest.raises(ValueError, match="16 to 31"):
        _aes.diversified(master, what[:15])


def test_vector_g_is_a_signature_of_nxp_that_holds_for_this_uid_alone() -> None:
    signature = bytes.fromhex(
        "27E9A50E6CA4BA9037C02F7D20A80D0284D0C1D83C67F5A5AC1D8A4EF86C9508417E4E9C6F85AA7920F0ABDED984CAF20467D66EA54BBF08"
    )
    nxp = ec.EllipticCurvePublicKey.from_encoded_point(
        ec.SECP224R1(),
        bytes.fromhex(
            "048A9B380AF2EE1B98DC417FECC263F8449C7625CECE82D9B916C992DA209D68422B81EC20B65A66B5102A61596AF3379200599316A00A1410"
        ),
    )
    card = ntag424.Model(bytes.fromhex("0463474AA26A80"), signature)
    told = bytes.fromhex(ask(card, "903C0000010000"))
    assert told[-2:] == b"\x91\x90"
    der = utils.encode_dss_signature(int.from_bytes(told[:28], "big"), int.from_bytes(told[28:56], "big"))
    unhashed = ec.ECDSA(utils.Prehashed(SHA224()))
    nxp.verify(der, card.uid.rjust(28, b"\0"), unhashed)
    with pytest.raises(InvalidSignature):
        nxp.verify(der, bytes.fromhex("0463474AA26A81").rjust(28, b"\0"), unhashed)


def test_a_personalisation_of_an12196_is_played_byte_for_byte() -> None:
    """AN12196, 5.6 to 5.16: authentication (vector D), settings of SDM, data in CommMode.Full, both kinds of keys."""
    card = ntag424.Model(UID, chance=Chance("B9E2FC789B64BF237CCCAA20EC7E6E48", "9D00C4DF"))
    assert ask(card, SELECT_APPLICATION) == "9000"
    assert ask(card, "9071000002000000") == "A04C124213C186F22399D33AC2A3021591AF"
    answer = ask(card, "90AF00002035C3E05A752E0144BAC0DE51C1F22C56B34408A23D8AEA266CAB947EA8E0118D00")
    assert answer == "3FA64DB5446D1F34CD6EA311167F5E4985B89690C04A05F17FA7AB2F081206639100"
    session = card.session
    assert session is not None
    assert session.enc_key.hex().upper() == "1309C877509E5A215007FF0ED19CA564"
    assert session.mac_key.hex().upper() == "4C6626F5E72EA694202139295C7A7FC7"
    session.counter = 1
    answer = ask(card, "905F0000190261B6D97903566E84C3AE5274467E89EAD799B7C1A0EF7A0400")
    assert answer == "57BFF87B1241E93D9100"
    file = card.ndef_file
    assert file.settings.hex() == "004000e0000100" + "c1f121" + "200000430000430000"

    third = _aes.decrypted(bytes(16), bytes.fromhex("B875CEB0E66A6C5CD00898DC371F92D1"))
    again = _aes.decrypted(bytes(16), bytes.fromhex("A6A2B3C572D06C097BB8DB70463E22DC"))
    card.chance = Chance(third.hex(), "7614281A", again.hex())
    assert ask(card, "9071000002030000") == "B875CEB0E66A6C5CD00898DC371F92D191AF"
    answer = ask(card, "90AF000020FF0306E47DFBC50087C4D8A78E88E62DE1E8BE457AA477C707E2F0874916A8B100")
    assert answer == "0CC9A8094A8EEA683ECAAC5C7BF20584206D0608D477110FC6B3D5D3F65C3A6A9100"
    answer = ask(card, "908D00001F030000000A00006B5E6804909962FC4E3FF5522CF0F8436C0C53315B9C73AA00")
    assert answer == "C26D236E4A7C046D9100"
    assert bytes(card.files[DATA_ID].content[:11]) == bytes.fromhex("0102030405060708090A00")

    assert ask(card, "90770000010000") == "A6A2B3C572D06C097BB8DB70463E22DC91AF"
    answer = ask(card, "90AF000020BE7D45753F2CAB85F34BC60CE58B940763FE969658A532DF6D95EA2773F6E99100")
    assert answer == "B888349C24B315EAB5B589E279C8263E9100"
    assert ask(card, "908D000019010E0000120000FF0506E1050080828300000000000000000000") == "9100"
    answer = ask(card, "90C4000029022CF362B7BF4311FF3BE1DAA295E8C68DE09050560D19B9E16C2393AE9CD1FAC75D0CE20BCD1D06E600")
    assert answer == "203BB55D1089D5879100"
    answer = ask(card, "90C400002900C0EB4DEEFEDDF0B513A03A95A75491818580503190D4D05053FF75668A01D6FDA6610234BDED643200")
    assert answer == "9100"
    assert card.keys[2].hex().upper() == "F3847D627727ED3BC9C4CC050489B966"
    assert card.keys[0].hex().upper() == "5004BF991F408672B1EF00F08F9E8647"
    assert card.session is None


def test_the_counter_rises_once_for_reads_that_follow_each_other_and_again_after_another_command() -> None:
    card = ntag424.Model(UID)
    card.set_sun(URL)
    file = card.ndef_file
    first, second = uri(card), uri(card)
    assert (first, second) != (second, first)
    assert file.counter == 2
    ask(card, SELECT_APPLICATION)
    assert ask(card, "00B0840004")[-4:] == "9000"
    assert ask(card, "00B0000004")[-4:] == "9000"
    assert file.counter == 3
    ask(card, SELECT_NDEF)
    assert ask(card, "00B0000004")[-4:] == "9000"
    assert file.counter == 4
    assert ask(card, "90AD0000070200000004000000")[-4:] == "9100"
    assert file.counter == 5
    assert ask(card, "00B00100FF") == "6B00"
    assert file.counter == 5, "a read that fails does not count"


def test_a_counter_at_its_limit_gives_no_more_urls() -> None:
    card = ntag424.Model(UID)
    card.set_sun(URL)
    card.ndef_file.counter = 0xFFFFFE
    uri(card)
    ask(card, SELECT_APPLICATION)
    ask(card, SELECT_NDEF)
    assert ask(card, "00B0000002") == "6982"
    assert card.ndef_file.counter == 0xFFFFFF


def test_a_wrong_key_ends_in_an_error_and_without_a_session_nothing_secret_is_done() -> None:
    card = ntag424.Model(UID)
    ask(card, SELECT_APPLICATION)
    assert ask(card, "9071000002000000")[-4:] == "91AF"
    assert ask(card, "90AF000020" + "00" * 32 + "00") == "91AE"
    assert ask(card, "905F0000040240" + "00E0" + "00") == "91AE"
    assert ask(card, "90C400000100" + "00") == "91AE"
    assert ask(card, "90AD0000070300000004000000") == "91AE"
    assert ask(card, "9071000002050000") == "9140"
    assert ask(card, "9060000000")[-4:] == "91AF"
    assert ask(card, "9051000000") == "91CA", "another command in the middle of one"


def test_an_error_ends_a_session() -> None:
    card = ntag424.Model(UID, chance=Chance("B9E2FC789B64BF237CCCAA20EC7E6E48", "9D00C4DF"))
    ask(card, SELECT_APPLICATION)
    ask(card, "9071000002000000")
    ask(card, "90AF00002035C3E05A752E0144BAC0DE51C1F22C56B34408A23D8AEA266CAB947EA8E0118D00")
    assert card.session is not None
    assert ask(card, "9051000008" + "00" * 8 + "00") == "911E"
    assert card.session is None


def test_a_tag_from_the_factory_says_what_it_is() -> None:
    card = ntag424.Model(UID)
    version = [ask(card, f"90{code}000000") for code in ("60", "AF", "AF")]
    assert [part[-4:] for part in version] == ["91AF", "91AF", "9100"]
    assert version[2][:14] == UID.hex().upper()
    ask(card, SELECT_APPLICATION)
    ask(card, "00A4000C02E103")
    assert ask(card, "00B000000F") == "001720010000FF0406E104010000009000"
    assert ask(card, "90F50000010200") == "0000E0EE0001009100"


@given(st.lists(st.binary(max_size=40), max_size=8))
def test_whatever_a_reader_sends_a_card_answers_with_a_status(commands: list[bytes]) -> None:
    card = ntag424.Model(UID)
    card.set_sun(URL)
    card.exchange(bytes.fromhex(SELECT_APPLICATION))
    for command in commands:
        answer = card.exchange(command)
        assert answer is not None
        assert len(answer) >= 2
        assert answer[-2] in (0x90, 0x91, *range(0x62, 0x70))
