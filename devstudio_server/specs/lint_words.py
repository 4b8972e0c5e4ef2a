"""The words that the lint knows, in English and Portuguese.

The lists follow INCOSE's Guide to Writing Requirements (rules on vague terms, escape clauses, open-ended clauses,
absolutes and passive voice) and the quality defects of ISO/IEC/IEEE 29148, 5.2.7; the Portuguese ones say the same.
"""

from __future__ import annotations

import re


def _words(text: str) -> list[str]:
    return text.split()


VAGUE = frozenset(
    _words(
        """
    large huge big small tiny heavy helpful lightweight grande grandes enorme pequeno pequena pequenos pequenas
    fast faster fastest quick quickly rapid rapidly slow slowly speedy swift swiftly timely promptly soon
    user-friendly user_friendly easy easier easily easy-to-use simple simply intuitive intuitively friendly
    adequate adequately appropriate appropriately suitable suitably sufficient sufficiently enough reasonable
    reasonably acceptable acceptably good nice nicely pleasant attractive beautiful pretty better best optimal
    optimally efficient efficiently effective effectively robust robustly flexible flexibly scalable modern
    state-of-the-art seamless seamlessly smooth smoothly gracefully graceful clearly properly correctly reliable
    reliably securely performant responsive stable versatile convenient conveniently comfortable meaningful
    relevant useful several many few some various numerous approximately roughly almost normally usually typically
    generally often sometimes frequently occasionally recent recently minimal high-quality high-performance rápido
    rápida rápidos rápidas rapidamente rapido rapida lento lenta lentamente ágil ágeis fácil fáceis facilmente
    simples simplesmente intuitivo intuitiva intuitivos intuitivas amigável amigáveis amigavel adequado adequada
    adequados adequadas adequadamente apropriado apropriada apropriados apropriadas apropriadamente suficiente
    suficientes suficientemente razoável razoáveis razoavelmente aceitável aceitáveis bom boa bons boas bonito
    bonita agradável melhor melhores ótimo ótima ideal eficiente eficientes eficientemente eficaz eficazes
    eficazmente robusto robusta flexível flexíveis escalável escaláveis moderno moderna vários várias muitos
    muitas poucos poucas alguns algumas diversos diversas aproximadamente imediatamente prontamente geralmente
    normalmente frequentemente corretamente claramente devidamente confiável confiáveis estável performático
    performática responsivo responsiva prático prática útil úteis relevante relevantes recente recentes
    """
    )
)
WORD = re.compile(r"[\w-]+")
VAGUE_PHRASES = re.compile(
    r"\b(?:user\s+friendly|easy\s+to\s+use|high\s+(?:quality|performance)|as\s+(?:fast|good|simple|small)\s+as"
    r"|(?:near\s+)?real[\s-]time|in\s+(?:a\s+)?(?:short|little)\s+time|a\s+(?:lot|number)\s+of|at\s+low\s+cost"
    r"|em\s+(?:pouco\s+tempo|tempo\s+(?:real|hábil))|quase\s+em\s+tempo\s+real|uma\s+série\s+de"
    r"|em\s+breve|às\s+vezes|de\s+alta\s+qualidade)\b",
    re.IGNORECASE,
)

ESCAPES = re.compile(
    r"(?<!\w)(?:"
    r"(?:if|when|whenever|where|wherever)\s+(?:at\s+all\s+)?"
    r"(?:possible|practical|practicable|feasible|necessary|needed|required|applicable|appropriate)"
    r"|as\s+(?:needed|required|applicable|appropriate|necessary)"
    r"|as\s+(?:far|much|soon|often|close|little)\s+as\s+(?:is\s+)?(?:possible|practical|practicable|feasible|reasonable)"
    r"|to\s+the\s+(?:\w+\s+)?extent\s+(?:possible|practicable|practical|feasible|necessary)"
    r"|unless\s+otherwise\s+\w+|(?:including\s+)?but\s+not\s+limited\s+to|and\s+so\s+on|and\s+so\s+forth|among\s+others"
    r"|best[\s-]effort|etc|et\s+cetera"
    r"|(?:se|quando|sempre\s+que|onde|caso\s+seja)\s+"
    r"(?:for\s+)?(?:possível|viável|necessário|aplicável|apropriado|preciso|conveniente|cabível)"
    r"|conforme\s+(?:necessário|aplicável|apropriado|possível|o\s+caso|a\s+necessidade)"
    r"|(?:na\s+medida\s+do|tanto\s+quanto|o\s+mais\s+\w+)\s+possível"
    r"|salvo\s+(?:indicação|disposição)\s+em\s+contrário|mas\s+não\s+(?:se\s+)?limitad[oa]s?\s+a|entre\s+outr[oa]s"
    r"|e\s+assim\s+por\s+diante"
    r")(?!\w)",
    re.IGNORECASE,
)

AND_OR = re.compile(r"\band\s?/\s?or\b|\be\s?/\s?ou\b", re.IGNORECASE)

PLACEHOLDERS = re.compile(
    r"\?{2,}|…|\.{3}|\b(?:TBD|TBC|FIXME|X{2,})\b|\bTODO:"
    r"|(?i:\bto\s+be\s+(?:defined|determined|decided|confirmed)\b)"
    r"|(?i:\ba\s+(?:ser\s+)?(?:definir|decidir|confirmar|definid[oa]s?|confirmad[oa]s?)\b)"
)

WEAK = re.compile(r"\b(?:should|may|might|could|would|ought\s+to|deveria[mn]?|poderia[mn]?)\b", re.IGNORECASE)
ABLE = re.compile(
    r"^(?:not\s+)?(?:be\s+able\s+to|be\s+capable\s+of|have\s+the\s+(?:ability|capability)\s+(?:to|of)"
    r"|ser\s+capaz(?:es)?\s+de|estar\s+apt[oa]s?\s+a|ter\s+a\s+capacidade\s+de|poder\b)",
    re.IGNORECASE,
)

ABSOLUTES = re.compile(
    r"\b(?:always|never|forever|at\s+all\s+times|at\s+any\s+time|under\s+(?:any|all)\s+circumstances|in\s+all\s+cases"
    r"|sempre(?!\s+que)|nunca|jamais|a\s+qualquer\s+(?:momento|hora)|a\s+todo\s+(?:o\s+)?momento|o\s+tempo\s+todo"
    r"|em\s+(?:qualquer|todas\s+as)\s+circunstâncias?|em\s+todos\s+os\s+casos)\b|\b24/7|\b100\s?%",
    re.IGNORECASE,
)

_ADVERBS = r"(?:(?:not|never|also|always|only|then|\w+ly|não|nunca|também|sempre|apenas|\w+mente)\s+)*"
UNOBSERVABLE = re.compile(
    rf"^{_ADVERBS}(?P<verb>handle|support|manage|consider|understand|know|think|try|attempt|strive|aim|cope|care|facilitate"
    r"|improve|optimi[sz]e|maximi[sz]e|minimi[sz]e|respect|work|function|endeavou?r|deal\s+with|take\s+care"
    r"|(?:ensure|guarantee|assure)(?!\s+that\b)|resolve|solve|take\s+into\s+account|be\s+aware|be\s+prepared|be\s+ready"
    r"|tratar|lidar|suportar|gerenciar|gerir|considerar|tentar|entender|compreender|saber|conhecer|facilitar|melhorar"
    r"|otimizar|maximizar|minimizar|respeitar|(?:garantir|assegurar)(?!\s+que\b)|resolver|solucionar|cuidar|procurar|funcionar|esforçar-se|levar\s+em\s+conta"
    r"|estar\s+ciente|estar\s+preparad[oa])\b",
    re.IGNORECASE,
)
MEASURED = re.compile(r"\d|q{3,}|\sby\s+\w+ing\b", re.IGNORECASE)
"""Says how to see it: a figure, something quoted (blanked by the parser), or the way in which it is done."""

_IRREGULAR_EN = (
    "made done shown sent kept held given taken written read built put set cut shut sold told paid found left lost seen"
    " known drawn thrown hidden chosen broken spoken stolen bound bought brought caught hit led met run split spent"
    " stored"
)
_STATES_EN = r"(?!enabled\b|disabled\b|based\b|located\b|limited\b|connected\b|red\b|need|hundred\b|embed\b|bed\b)"
PASSIVE = re.compile(
    rf"^{_ADVERBS}(?:be|get)\s+{_ADVERBS}(?P<en>{_STATES_EN}(?:\w{{2,}}ed|{'|'.join(_IRREGULAR_EN.split())}))\b"
    rf"|^{_ADVERBS}ser\s+{_ADVERBS}(?P<pt>\w{{2,}}[ai]d[oa]s?|feit[oa]s?|dit[oa]s?|escrit[oa]s?|abert[oa]s?|vist[oa]s?"
    r"|impress[oa]s?|pag[oa]s?|entregues?|aceit[oa]s?|expost[oa]s?|post[oa]s?|impost[oa]s?|suspens[oa]s?)\b",
    re.IGNORECASE,
)
ACTOR = re.compile(
    r"\bby\s+(?!default\b|e-?mail\b|means\b|date\b|\d)\w|\bpel[oa]s?\s+\w|\bpor\s+(?:uma?|cada|qualquer)\b",
    re.IGNORECASE,
)

_VERBS_EN = _words(
    """
    add allow answer append apply archive ask assign attach block book calculate call cancel change charge check
    clear close compress compute confirm convert copy count create debit decrypt delete deny disable discard
    display download email empty enable encrypt end erase export fetch fill find flag flash format generate give
    grant hide highlight hold import increase increment decrease insert invite issue keep let light limit link
    list load lock log mail make mark mask merge move notify offer open paint pause pay play print process publish
    put raise read record redirect refresh refuse refund reject release reload remember remove rename render
    replace reply report request reserve reset restart restore retry return revoke ring run save scan schedule
    search select send set show shut sign skip sort sound start stop store submit subtract suspend switch sync
    tell terminate test turn undo unlock update upload use validate verify wait warn withdraw write
    """
)
_PLAIN_VERBS_EN = _words(
    """
    add append apply ask assign attach calculate cancel compute confirm convert create decrypt delete deny disable
    discard encrypt enable erase fetch generate hide insert notify redirect refuse reject reload remove rename
    render replace restart restore retrieve revoke save send show store submit suspend terminate unlock update
    upload validate verify warn write
    """
)
_OBJECT = r"(?:the|an?|its|their|his|her|it|them|each|every|all|both|no|one|that|this|those|these|any|to|\d+|q{3,})"
_JOIN_EN = (
    r"(?:;|,?\s+(?:and|then|and\s+then)|,\s+then)(?:\s+|(?=,))(?:,[^,;]{1,80},\s+)?(?:then\s+|also\s+|immediately\s+)?"
)
_JOIN_PT = r"(?:;|,?\s+(?:e|então|e\s+então|e\s+depois|depois))\s+(?:também\s+|então\s+|depois\s+)?"
_NOUNS_PT = (
    "lugar|celular|familiar|militar|singular|particular|qualquer|mulher|caráter|açúcar|dólar|similar|regular|popular"
    "|escolar|solar|prazer|poder|jantar|andar|bar|par|mar|ar|líder|pôster|auxiliar|titular|exemplar|pilar|hangar|elixir"
    "|circular|vulgar|dever|parecer"
)
SEVERAL_EN = re.compile(
    rf"{_JOIN_EN}(?P<verb>(?:{'|'.join(_VERBS_EN)})(?=\s+{_OBJECT}\b)|(?:{'|'.join(_PLAIN_VERBS_EN)})(?=\s))",
    re.IGNORECASE,
)
SEVERAL_PT = re.compile(rf"{_JOIN_PT}(?P<verb>(?!(?:{_NOUNS_PT})\b)\w{{2,}}(?:ar|er|ir)\b(?=\s|$))", re.IGNORECASE)

PRONOUNS = frozenset("it they he she this that these those ele ela eles elas isso isto este esta".split())  # noqa: SIM905

OPPOSITES = {
    word: (pair[0], sign)
    for pair in (
        ("allow", "deny"),
        ("allow", "forbid"),
        ("allow", "prevent"),
        ("allow", "block"),
        ("show", "hide"),
        ("accept", "reject"),
        ("accept", "refuse"),
        ("enable", "disable"),
        ("open", "close"),
        ("start", "stop"),
        ("lock", "unlock"),
        ("keep", "delete"),
        ("include", "exclude"),
        ("increase", "decrease"),
        ("add", "remove"),
        ("permitir", "negar"),
        ("permitir", "proibir"),
        ("permitir", "impedir"),
        ("permitir", "bloquear"),
        ("mostrar", "ocultar"),
        ("mostrar", "esconder"),
        ("aceitar", "recusar"),
        ("aceitar", "rejeitar"),
        ("habilitar", "desabilitar"),
        ("ativar", "desativar"),
        ("abrir", "fechar"),
        ("iniciar", "parar"),
        ("manter", "apagar"),
        ("incluir", "excluir"),
        ("aumentar", "diminuir"),
        ("adicionar", "remover"),
    )
    for word, sign in ((pair[0], 1), (pair[1], -1))
}
"""Verbs that say the opposite of each other: each one's positive twin, and which of the two it is."""

FIGURES = {
    word: str(number)
    for number, words in enumerate(
        (
            "two dois duas", "three três", "four quatro", "five cinco", "six seis", "seven sete", "eight oito",
            "nine nove", "ten dez", "eleven onze", "twelve doze",
        ),
        2,
    )
    for word in words.split()
}  # fmt: skip
"""Numbers that are written as words; one is an article in Portuguese, and often in English."""
