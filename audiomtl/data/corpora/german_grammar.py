"""A small German grammar: sentences of three to five words, made in blocks that each own some of their
content words.

A content word is a noun, name, verb, adjective or adverb, or the noun of a place; articles and prepositions
are function words. Every class of content words is cut, in an order that the seed shuffles, into a common
part (`COMMON_SHARE`) and one part per block. A block's own words appear in no other block, so holding a block
out holds its words out too. Verbs are third person singular present, subjects nominative, objects accusative;
nouns that decline (Junge, Affe) are subjects only.

Contents: word lists, `Sentence`, `vocabulary`, `sentences`.
"""

from dataclasses import dataclass

import numpy as np

from audiomtl.errors import UserError

COMMON_SHARE = 0.4  # of each word class; the rest belongs to the blocks

# Nouns by gender: m(asculine), f(eminine), n(euter).
SUBJECTS = {
    "m": (
        "Hund Mann Lehrer Bäcker Vogel Junge König Arzt Nachbar Fuchs Bauer Onkel Koch Schüler Maler Affe"
        " Igel Löwe Pfarrer Gärtner Richter Zwerg Fischer Jäger Bruder Frosch Esel Räuber Tänzer Schreiner"
    ),
    "f": (
        "Frau Katze Tante Ärztin Schwester Mutter Tochter Biene Ziege Köchin Maus Eule Kuh Freundin Ente Gans"
        " Sängerin Hexe Spinne Schnecke Möwe Nichte Krähe Pflegerin"
    ),
    "n": (
        "Kind Mädchen Pferd Schaf Küken Huhn Tier Schwein Kaninchen Eichhörnchen Lamm Fohlen Reh Kamel Zebra"
        " Kätzchen"
    ),
}
THINGS = {
    "m": (
        "Schlüssel Apfel Brief Löffel Tisch Hut Koffer Ball Stuhl Käse Kuchen Wagen Schirm Mantel Topf"
        " Teppich Spiegel Schrank Pfirsich Knochen Ring Stein Korb Zaun Pfeffer Pinsel"
    ),
    "f": (
        "Tasche Lampe Blume Tür Zeitung Brücke Suppe Jacke Schüssel Flasche Kiste Decke Geige Uhr Tasse Gabel"
        " Münze Kerze Birne Mütze Leiter Säge Trompete Pflanze Bürste Wurst"
    ),
    "n": (
        "Buch Haus Auto Fenster Messer Brot Bild Hemd Fahrrad Zelt Rätsel Schiff Ei Kleid Glas Klavier Sofa"
        " Werkzeug Kissen Seil Boot Gemälde Märchen Paket Wörterbuch Feuerzeug"
    ),
}
NAMES = (
    "Peter Anna Jürgen Sabine Günter Ursula Klaus Monika Wolfgang Heike Stefan Petra Bernd Jutta Dieter"
    " Renate Karin Jörg Gisela Uwe Susanne Holger Ingrid Rüdiger Bärbel Otto Frieda Paul Emma Hannes"
)
INTRANSITIVES = (
    "schläft singt lacht tanzt wartet läuft träumt weint schwimmt sitzt steht arbeitet spielt hustet niest"
    " gähnt fällt springt friert schweigt pfeift zittert kommt ruht schwitzt stöhnt flüstert kniet klettert"
    " stolpert grinst turnt schnarcht betet jubelt hüpft lügt wächst seufzt humpelt"
)
TRANSITIVES = (
    "sucht findet kauft sieht bringt holt trägt zeigt verkauft öffnet bemalt putzt liebt braucht vergisst"
    " verliert wirft nimmt repariert zeichnet wäscht mag beschreibt versteckt bezahlt prüft hört zieht"
    " berührt verschenkt entdeckt zerstört bestellt küsst hasst schützt stiehlt tauscht betrachtet benutzt"
)
ADJECTIVES = (  # stems, before the ending
    "klein groß alt jung müd schön dünn dick rot grün blau schwarz weiß braun bös frech freundlich höflich"
    " lustig traurig fröhlich stark schwach klug faul fleißig neu hübsch krank gelb bunt nass warm kalt reich"
    " arm ruhig wild ernst brav süß treu schlau scheu rund hässlich mutig ehrlich"
)
ADVERBS = (
    "heute morgen immer oft selten gerne leise laut schnell langsam draußen drinnen oben unten bald jetzt"
    " wieder noch nie abends nachts plötzlich vielleicht überall hier dort sofort allein später täglich"
    " endlich heimlich meistens manchmal sonntags mittags vorsichtig wirklich höchstens glücklich"
)
PLACES = (  # preposition and noun, dative
    "im_Garten im_Wald im_Zimmer im_Keller im_Zug im_Dorf im_Park im_Büro im_Schloss im_Hof im_Museum im_Tal"
    " im_Schnee im_Regen im_Bett im_Gras im_Hafen im_Zirkus im_Theater im_Flur im_Sommer im_Winter"
    " im_Gefängnis im_Krankenhaus im_Wasser am_Bahnhof am_Fluss am_Strand am_See am_Ufer am_Brunnen"
    " am_Flughafen am_Feuer am_Hügel am_Kamin am_Gebäude"
)

# Determiners by case and gender, and the endings of an adjective after them: weak after "der", mixed after
# "ein".
DETERMINERS = {
    ("nominative", "m"): (("der", "e"), ("dieser", "e"), ("ein", "er"), ("mein", "er")),
    ("nominative", "f"): (("die", "e"), ("diese", "e"), ("eine", "e"), ("meine", "e")),
    ("nominative", "n"): (("das", "e"), ("dieses", "e"), ("ein", "es"), ("mein", "es")),
    ("accusative", "m"): (("den", "en"), ("diesen", "en"), ("einen", "en"), ("meinen", "en")),
    ("accusative", "f"): (("die", "e"), ("diese", "e"), ("eine", "e"), ("meine", "e")),
    ("accusative", "n"): (("das", "e"), ("dieses", "e"), ("ein", "es"), ("mein", "es")),
}
# Each slot stands for one content word; "adjective" belongs to the noun that follows, whose determiner
# precedes both.
TEMPLATES = (
    "subject intransitive",
    "name intransitive adverb",
    "name intransitive place",
    "subject intransitive adverb",
    "adjective subject intransitive",
    "adverb intransitive subject",
    "name transitive thing",
    "subject transitive thing",
    "subject intransitive place",
    "name transitive adjective thing",
    "adverb transitive name thing",
    "adjective subject intransitive adverb",
)

# Words with the phones that are rare in German, one line per phone. They are common words, and every block
# takes one of each line before it draws freely: so a phone of a held-out block is hardly ever absent from the
# others, given 20 sentences per block.
ANCHORS = (
    "turnt Ursula",  # ʊɐ
    "Pferd pfeift Pfirsich Pfeffer",  # pf
    "Möwe schön stöhnt höflich",  # øː
    "singt springt Ring langsam",  # ŋ
    "Käse Krähe Märchen",  # ɛː
    "Löffel öffnet plötzlich",  # œ
    "Frau braun blau Haus",  # aʊ
    "Tür grün lügt prüft",  # yː
    "Brücke Schüssel dünn küsst",  # ʏ
    "Esel Reh steht",  # eː
    "lacht Koch Buch nachts",  # x
    "Junge Jäger jetzt Jacke",  # j
    "Eule neu treu träumt",  # ɔʏ
    "Vogel rot Boot oben",  # oː
    "Hund Hemd hört hier",  # h
    "Kuh Stuhl sucht ruhig",  # uː
    "Mutter Suppe hustet",  # ʊ
    "Onkel Koffer kommt",  # ɔ
    "Katze Ziege tanzt zieht",  # ts
    "Mädchen Kätzchen wirklich",  # ç
    "Löwe Wagen wartet wäscht",  # v
)

Word = tuple[str, str]  # text and gender, which is "" for all but nouns


@dataclass(frozen=True)
class Sentence:
    """One sentence; ``own_words`` are those of ``words`` that only its block uses."""

    sentence: str  # identity, sorted by block: "b0-s003"
    block: int
    text: str
    words: tuple[str, ...]
    own_words: tuple[str, ...]


def _classes() -> dict[str, list[Word]]:
    def plain(words: str) -> list[Word]:
        return [(word, "") for word in words.split()]

    def nouns(by_gender: dict[str, str]) -> list[Word]:
        return [(word, gender) for gender, words in by_gender.items() for word in words.split()]

    return {
        "subject": nouns(SUBJECTS),
        "thing": nouns(THINGS),
        "name": plain(NAMES),
        "intransitive": plain(INTRANSITIVES),
        "transitive": plain(TRANSITIVES),
        "adjective": plain(ADJECTIVES),
        "adverb": plain(ADVERBS),
        "place": plain(PLACES),
    }


def vocabulary(blocks: int, seed: int) -> tuple[dict[str, list[Word]], list[dict[str, list[Word]]]]:
    """Cut each word class into common words and words of each block's own.

    Returns
    -------
    common : dict of word class to words
    own : list of dict, one per block, of word class to words; at least one word in each

    Raises
    ------
    UserError
        More blocks than the smallest word class has words to give away.
    """
    generator = np.random.default_rng([seed, 1])
    anchors = " ".join(ANCHORS).split()
    common: dict[str, list[Word]] = {}
    own: list[dict[str, list[Word]]] = [{} for _ in range(blocks)]
    for name, words in _classes().items():
        n_common = round(COMMON_SHARE * len(words))
        if blocks > len(words) - n_common:
            raise UserError(
                f"data.blocks = {blocks}: must be at most {len(words) - n_common}: every block needs its own"
                f" words (class {name}); lower it"
            )
        shuffled = [words[i] for i in generator.permutation(len(words))]
        shuffled.sort(key=lambda word: word[0] not in anchors)  # anchors first, so that they are common
        common[name] = shuffled[:n_common]
        for block in range(blocks):
            own[block][name] = shuffled[n_common + block :: blocks]
    return common, own


def _draw(
    common: dict[str, list[Word]],
    own: dict[str, list[Word]],
    waiting: list[tuple[str, Word]],
    own_words_share: float,
    generator: np.random.Generator,
) -> tuple[list[tuple[str, Word, bool]], list[tuple[str, Word]]]:
    """Draw a sentence's slots of (class, word, own), the common ones from `waiting` where it has their class.

    And what still waits.
    """
    fitting = [template.split() for template in TEMPLATES if not waiting or waiting[0][0] in template.split()]
    names = fitting[generator.integers(len(fitting))]
    # rounded up as often as its fraction says: the mean is exact
    n_own = int(own_words_share * len(names) + generator.random())
    order = list(generator.permutation(len(names)))
    if waiting and n_own < len(names):
        # the slot that the first one waits for comes last, so it is common
        order.sort(key=lambda i: names[i] == waiting[0][0])
    slots, left = [], list(waiting)
    for i, name in enumerate(names):
        words = own[name] if i in order[:n_own] else common[name]
        word = words[generator.integers(len(words))]
        here = [anchor for anchor in left if anchor[0] == name]
        if here and i not in order[:n_own]:
            word = here[0][1]
            left.remove(here[0])
        slots.append((name, word, i in order[:n_own]))
    return slots, left


def _phrase(
    slots: list[tuple[str, Word, bool]], generator: np.random.Generator
) -> tuple[list[str], list[str]]:
    """Words of a sentence, and those among them that are the block's own, from slots of (class, word,
    own).
    """
    words: list[str] = []
    own_words: list[str] = []
    adjective: tuple[str, bool] | None = None  # waits for its noun, which knows the gender
    for name, (text, gender), own in slots:
        if name == "adjective":
            adjective = (text, own)
            continue
        content = text
        if gender:
            choices = DETERMINERS["accusative" if name == "thing" else "nominative", gender]
            determiner, ending = choices[generator.integers(len(choices))]
            words.append(determiner)
            if adjective:
                words.append(adjective[0] + ending)
                own_words += [words[-1]] if adjective[1] else []
                adjective = None
        elif name == "place":
            preposition, content = text.split("_")
            words.append(preposition)
        words.append(content)
        own_words += [content] if own else []
    return words, own_words


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]


def sentences(count: int, *, blocks: int, own_words_share: float, seed: int) -> list[Sentence]:
    """Make distinct sentences, sorted by block and so by identity.

    Parameters
    ----------
    count : sentences in all, split evenly over blocks
    blocks : blocks of sentences, each with content words that no other block uses
    own_words_share : in [0, 1], the share of a sentence's content words that are its block's own, on average
    seed : any integer >= 0

    Raises
    ------
    UserError
        Fewer sentences than blocks, more blocks than the words allow, or more sentences than the words can
        make.
    """
    if count < blocks:
        raise UserError(
            f"data.sentences >= data.blocks must hold, but got {count} and {blocks}: a block needs a sentence"
        )
    common, own = vocabulary(blocks, seed)
    generator = np.random.default_rng([seed, 2])
    class_of = {word: (name, (word, gender)) for name, words in _classes().items() for word, gender in words}
    block_width, sentence_width = len(str(blocks - 1)), max(3, len(str(count)))
    made: list[Sentence] = []
    seen: set[str] = set()
    for block, numbers in enumerate(np.array_split(np.arange(count), blocks)):
        waiting = [class_of[generator.choice(line.split())] for line in ANCHORS]
        waiting = [waiting[i] for i in generator.permutation(len(waiting))]
        for number in range(len(numbers)):
            for _ in range(1000):
                slots, left = _draw(common, own[block], waiting, own_words_share, generator)
                words, own_words = _phrase(slots, generator)
                text = _capital(" ".join(words)) + "."
                if text not in seen:
                    break
            else:
                raise UserError(
                    f"data.sentences = {count}: the grammar cannot generate so many distinct sentences; lower"
                    " it or data.blocks"
                )
            seen.add(text)
            waiting = left
            identity = f"b{block:0{block_width}d}-s{number:0{sentence_width}d}"
            made.append(Sentence(identity, block, text, tuple(words), tuple(own_words)))
    return made
