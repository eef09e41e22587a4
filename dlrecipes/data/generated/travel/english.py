"""Grammar rules of the English travel queries.

Every tag can be inferred from the sentence. A date or time without its own verb belongs to the
last verb before it; without any verb, it is the departure of the flight, trip or ticket.
Prepositions and articles are not part of a value.
"""

import itertools
import random
import re

from dlrecipes.data.generated.travel import english_intents, english_other, english_short
from dlrecipes.data.generated.travel.english_words import WORDS
from dlrecipes.data.generated.travel.grammar import Draft, Grammar, without_stray

RULES = {
    "from": "{departure_city:city}",
    "to": "{destination_city:city}",
    "via": "{stopover_city:city}",
    "date": """
        <month> <number_day>
        <month> <nth>
        <number_day> <month>
        <weekday>
        <weekday> <month> <nth>
        <holiday>""",
    "dated": "<nth> of <month>",
    "near": "(next|this) <weekday> | tomorrow | tomorrow | next (week|month|weekend)",
    "time": """
        <hour> (am|pm|a.m.|p.m.)
        <short_hour>
        <minutes> [am|pm|a.m.|p.m.]
        <late_minutes>
        <hour> o'clock
        half past <hour>
        quarter (to|past) <hour>
        (noon|midnight)
        <hour> in the <day_part>""",
    "clock": "<minutes> | <late_minutes> | <short_hour> | <hour> (am|pm)",
    "day": """
        on {$_date:date}
        {$_date:date}
        on the {$_date:dated}
        {$_date:near}
        the {$_date:day_after}""",
    "day_after": "day after tomorrow",
    "hours": """
        (at|around|about) {$_time:time}
        at {$_time:hour}
        (before|after|by) {$_time:time}
        in the {$_time:day_part}""",
    "when": """
        <day:$>
        <hours:$>
        <day:$> <hours:$>
        <hours:$> <day:$>
        <day:$> , <aside> <hours:$>""",
    "moment": """
        {$_date:date} [at {$_time:time}]
        the {$_date:dated}
        {$_time:time} [on {$_date:date}]
        {$_date:near}""",
    "aside": """
        , if that is not too much (trouble|to ask) ,
        , if I may (ask|say so|be so bold) ,
        , and I (really|truly|honestly) mean (this|that) ,
        , as I told your colleague (yesterday|on the phone|a second ago) ,
        , (since|because) <reason> ,
        , provided (there is still room|you have a seat left) ,
        , whatever the (price|economy|airline) may be ,
        , together with my <person> [<first_name>] ,
        , as my (friend|<person>) <first_name> (suggested|did last year) ,
        , as I read in the <paper> ,
        , first of all ,
        , (weather|business) permitting ,
        , like the (first|last|second) (time|one) ,""",
    "reason": """
        my <person> is getting married
        we may be late for the <event>
        the <event> starts early
        the first (flight|one) was full
        the <person> of <first_name> (hates|loves) early flights
        I have that <event> to go to
        we (march|sing) in the parade
        I am on business
        the economy is what it is
        China is on my list""",
    "polite": """
        (hi|hello|good morning|hey) [there] ,
        please
        could you please
        can you
        first , please
        I was wondering if you could
        excuse me , could you""",
    "greeting": "(hi|hello|good morning|hey) [there] , | excuse me , | first of all ,",
    "route": """
        from <from> to <to>
        to <to> from <from>
        <from> to <to>
        out of <from> [and] into <to>
        between <from> and <to>
        from <from> via <via> to <to>
        from <from> <aside> to <to>
        to <to> <aside> from <from>
        from <from> to <to> (via|by way of) <via>
        from <from> to <to> with a (stop|layover|night) in <via>
        to <to> , <aside> changing planes in <via> , from <from>""",
    "fly": "(fly|travel|go|get a flight)",
    "want": """
        I (want|need|would like|have|hope) to
        I'd (like|love) to
        we (want|need|would like|plan) to
        my <person> and I want to
        my <person> [<first_name>] may (want|have) to""",
    "go_off": "(leave|depart|set off|take off|fly out|start|get away)",
    "going_off": "(leaving|departing|setting off|taking off|flying out|starting)",
    "get_in": "(arrive|land|touch down|get in|be there|show up)",
    "getting_in": "(arriving|landing|touching down|getting in)",
    "leave": """
        (leave|depart from|get out of|fly out of|start from|take off from) <from>
        (leave|fly away|depart|start) <aside> from <from>""",
    "reach": """
        (reach|arrive in|land in|be in|get into|touch down in) <to>
        (be|arrive|land) <aside> in <to>""",
    "going": "[,] <going_off> [<aside>] <when:departure>",
    "coming": "[,] <getting_in> [<aside>] <when:arrival>",
    "back": """
        [,] (returning|coming back|flying home) [<aside>] <day:return>
        [,] and (return|come back|be back|fly home) [<aside>] <day:return>
        [,] with the (way back|return) [<aside>] <day:return>""",
    "carrier": """
        (with|on|by) {airline:airline}
        [,] preferably <aside> (with|on) {airline:airline}
        [,] on any {airline:airline} flight
        [,] I like {airline:airline} best""",
    "cabin": """
        in {class:class}
        [,] {class:class} if possible
        [,] and <aside> in {class:class}""",
    "party": """
        for {travellers:n} [people|adults|passengers|persons]
        [,] there are {travellers:n} of us
        [,] we are {travellers:n} [in all]
        , a party of {travellers:n}
        [,] we need {travellers:n} (seats|tickets)""",
    "noise": """
        with (less than|at most) <n> hours to wait
        [,] I have <n> (bags|suitcases)
        with no more than <n> stops
        for (under|less than) <price> dollars
        [,] if the first flight is full take the second
        [,] we united fans march on""",
    "extra": "<carrier> | <cabin> | <party> | <noise>",
    "extras": "[[<carrier>]] & [[<cabin>]] & [[<party>]] & [[<noise>]] & [[<aside>]]",
    "timing": "<going> | <coming> | <coming> | <going> <coming> | <coming> <going> | <back>",
    "tail": "<extras> | <timing> [<extra>] | [<extra>] <timing>",
    "dated_tail": "<extras> | <coming> [<extra>] | <back> [<extra>] | <coming> <back>",
    "here": """
        I (am|live) in <from>
        we are (now|still) [<aside>] in <from>
        my <person> is [<aside>] (picking me up|waiting) in <from>, so I start there
        <from> is where I (am|live|start)""",
    "there": """
        (have|need) to <reach> [<when:arrival>]
        (have|need) to <get_in> [<aside>] in <to> <when:arrival>
        must , <aside> <when:arrival> , be in <to>""",
    "two_ends": """
        I <there> , [<aside>] and I (am|live) in <from>
        <here> (and|but) <there>
        from <from> I <there>
        <when:departure> <want> <leave> [and <reach> <when:arrival>]
        <when:arrival> <want> <reach> [and <leave> <when:departure>]
        <when:departure> , <aside> <want> <leave>
        <when:arrival> , <aside> <want> <reach>
        <want> <leave> [<aside>] <when:departure> [and <reach>]
        <want> <reach> [<aside>] <when:arrival> , [coming] from <from>
        <want> <go_off> <when:departure> and <get_in> <when:arrival>
        the <event> is in <to> , so <want> be there <when:arrival>
        the <event> in <from> ends [<day:departure>] , then <want> fly to <to>""",
    "cleft": """
        <moment:departure> is when , <aside> <want> <go_off>
        <moment:arrival> is when , <aside> <want> <get_in>
        <moment:departure> [<aside>] is when <want> <leave>
        <moment:arrival> [<aside>] is when <want> <reach>
        <from> is the (city|place|airport) , <aside> that <want> (leave|fly out of|depart from)
        <to> is the (city|place|airport) , <aside> that <want> (reach|fly to|arrive in|land in)
        where <want> (be|go|land|end up) , <aside> is <to>
        where <want> (leave|depart|start|set off) from , <aside> is <from>
        <from> , <aside> is our starting point and <to> , <aside> our destination
        <to> , <aside> is our destination and <from> , <aside> our starting point""",
    "telegram": """
        (leave|depart) <from> [for <to>] <day:departure> [<hours:departure>]
        (arrive|land) <to> [from <from>] <day:arrival> [<hours:arrival>]
        (leave|depart) <from> <hours:departure> (arrive|reach) <to> <hours:arrival>
        (arrive|reach) <to> <hours:arrival> (leave|depart) <from> <hours:departure>
        <from> <to> <day:departure> [return <day:return>]
        departure : <from> <moment:departure> ; arrival : <to> <moment:arrival>
        arrival : <to> <moment:arrival> ; departure : <from> <moment:departure>
        <to> from <from> <day:departure>
        {travellers:n} {class:class} <from> to <to> <day:departure>""",
    "need_seat": """
        book [me|us] (a|one) (flight|seat|ticket)
        book [me|us] the first flight
        (get|reserve|find) [me|us] a (flight|seat|ticket)
        reserve {travellers:n} (seats|tickets)
        book {travellers:n} {class:class} (seats|tickets)
        book the {departure_time:clock} flight
        book a {airline:airline} flight""",
    "usual_book_flight": "<long_book_flight> | <long_book_flight> | <short_book_flight>",
    "long_book_flight": """
        [<polite>] <need_seat> <route> [<when:departure>] <dated_tail>
        <polite> <need_seat> <route> <tail>
        <want> <fly> <route> [<aside>] [<when:departure>] <dated_tail>
        <want> <fly> <route> <tail>
        <two_ends> <extras>
        <two_ends> [<extra>]
        <cleft> [<extra>]
        <telegram> <extras>
        <two_ends> , [please] book it [<extra>]
        [<polite>] book (it|that) , <two_ends>""",
    "fares": """
        how much (is|does it cost for) a (flight|ticket|{class:class} ticket)
        what is the (cheapest|lowest|best) (fare|price)
        (show|tell) me the (cheapest|lowest|best|{class:class}) (fares|fare)
        what does {airline:airline} charge""",
    "usual_find_fare": "<long_find_fare> | <long_find_fare> | <short_find_fare>",
    "long_find_fare": """
        [<greeting>] <fares> <route> [<when:departure>] <dated_tail>
        <fares> <route> <tail>
        <two_ends> , what will (it|that) cost [<extra>]
        (fares|prices) <telegram> [<extra>]
        <cleft> , how much is (it|that) [<extra>]""",
    "schedule": """
        (which|what) flights (are there|do you have)
        (when|at what time) is (the|a) (first|next|last) flight
        (list|show me) all flights
        is there (a|a direct|an early|a second) flight""",
    "usual_flight_schedule": """
        <long_flight_schedule> | <long_flight_schedule> | <short_flight_schedule>""",
    "long_flight_schedule": """
        [<greeting>] <schedule> <route> [<when:departure>] <dated_tail>
        <schedule> <route> <tail>
        <two_ends> , (which|what) flights (are there|can I take)
        <cleft> , (which|what) flights can I take
        (timetable|schedule) , <telegram>
        which {airline:airline} flights (leave|depart from) <from> [<aside>] <when:departure>
        which {airline:airline} flights (arrive in|reach|land in) <to> [<aside>] <when:arrival>""",
    "usual_flight_status": "<long_flight_status> | <long_flight_status> | <short_flight_status>",
    "long_flight_status": """
        is [{airline:airline}] flight <flight_number> [from <from>] [to <to>] (on time|delayed|late)
        has the {departure_time:clock} flight (from <from>|to <to>) (left|landed) yet
        has the flight that lands [<aside>] in <to> <when:arrival> been delayed
        has the flight that leaves [<aside>] from <from> <when:departure> been delayed
        what is the status of flight <flight_number> , <getting_in> [<aside>] <when:arrival>
        what is the status of flight <flight_number> , <going_off> [<aside>] <when:departure>""",
    "booking": """
        my (flight|booking|ticket|reservation) [with {airline:airline}]
        our {travellers:n} (seats|tickets)
        the {class:class} (ticket|seat)""",
    "usual_change_booking": """
        <long_change_booking> | <long_change_booking> | <short_change_booking>""",
    "long_change_booking": """
        [<polite>] (change|move|rebook) <booking> <route> , <want> <go_off> <when:departure>
        [<polite>] (change|move|rebook) <booking> <route> , <want> <get_in> <when:arrival>
        [<polite>] (change|rebook) <booking> , <want> <reach> <when:arrival> instead
        [<polite>] (change|rebook) <booking> , <want> <leave> <when:departure> instead
        (upgrade|switch) <booking> [<route>] <aside> to {class:class}
        (switch|change) <booking> [<route>] <aside> to {airline:airline}
        (push|move) my (return|way back) [<aside>] to {return_date:date}
        (push|move) my (departure|outbound flight) [<aside>] to {departure_date:date}
        (push|move) my arrival [<aside>] to {arrival_date:date}""",
    "usual_cancel_booking": """
        <long_cancel_booking> | <long_cancel_booking> | <short_cancel_booking>""",
    "long_cancel_booking": """
        [<polite>] (cancel|drop) <booking> <route> [<when:departure>]
        [<polite>] (cancel|drop) <booking> , <going_off> [<aside>] <when:departure>
        [<polite>] (cancel|drop) <booking> , <getting_in> [<aside>] <when:arrival>
        I may not <reach> <when:arrival> , so cancel <booking>
        I can't <leave> [<when:departure>] , so cancel <booking>
        <want> cancel <booking> [<route>] <back>""",
    "usual_airline_info": "<long_airline_info> | <long_airline_info> | <short_airline_info>",
    "long_airline_info": """
        (which|what) airlines fly <route> [<when:departure>] [in {class:class}]
        does {airline:airline} fly <route> [<when:departure>]
        does {airline:airline} have {class:class} [<route>]
        tell me [<aside>] about {airline:airline} [and its {class:class}]
        how many (bags|suitcases) does {airline:airline} allow in {class:class} [<route>]
        (which|what) airlines [<aside>] (serve|land in|fly into) <to>
        (which|what) airlines [<aside>] (leave|fly out of|start from) <from>""",
    "usual_ground_transport": """
        <long_ground_transport> | <long_ground_transport> | <short_ground_transport>""",
    "long_ground_transport": """
        I (land|arrive|touch down) in <to> <when:arrival> , is there a <ride> into town
        I (land|arrive) [<aside>] <when:arrival> in <to> , how do I get downtown
        I (leave|take off from|depart from) <from> <when:departure> , is there a <ride> there
        I (leave|take off) [<aside>] <when:departure> , is there a <ride> to the airport in <from>
        is there a <ride> from the airport , I (arrive|land) [<aside>] in <to> [<when:arrival>]
        is there a <ride> to the airport , I (leave|depart) [<aside>] from <from> [<when:departure>]
        we need a <ride> for {travellers:n} (people|adults) when we land [<aside>] in <to>""",
    "ride": "(bus|train|taxi|coach|shuttle|rental car)",
}

INTENTS = {
    "book_flight": 10,
    "find_fare": 5,
    "flight_schedule": 5,
    "flight_status": 3,
    "change_booking": 3,
    "cancel_booking": 3,
    "airline_info": 3,
    "ground_transport": 3,
}


def _mix(intent: str, usual: int) -> str:
    return " | ".join([*[f"<usual_{intent}>"] * usual, f"<rare_{intent}>"])


# One query in ten has less common words; in training it is one in four, since a network needs
# about ten sentences of a template.
_QUERIES = {
    **{intent: _mix(intent, 9) for intent in INTENTS},
    **{f"train_{intent}": _mix(intent, 3) for intent in INTENTS},
}
_VOWEL = re.compile("(?!uni|eu|us|one)[aeiou]|hour", re.IGNORECASE)
_ASKING = re.compile("^(what|is|does|has|can|could)|which|how |what (will|is the)|is there")

GRAMMAR = Grammar(
    {
        **_QUERIES,
        **RULES,
        **english_short.RULES,
        **english_intents.RULES,
        **english_other.RULES,
    },
    {**WORDS, **english_other.WORDS},
    lambda word: [word],
)


def finish(draft: Draft, rng: random.Random) -> bool:
    """Adds punctuation and case to a draft; returns whether it can be used."""
    without_stray(draft, ",", ",;")
    for i, (word, after) in enumerate(itertools.pairwise(draft.tokens)):
        if word in ("a", "an"):
            draft.tokens[i] = "an" if _VOWEL.match(after) else "a"
    asks = _ASKING.search(" ".join(draft.tokens))
    # After "p.m." or "7", a final stop would be ambiguous.
    last = draft.tokens[-1]
    if rng.random() < 0.35 and len(last) > 1 and "." not in last:
        draft.tokens.append("?" if asks else rng.choice("...!"))
        draft.tags.append("O")
    case = rng.random()
    if case < 0.2:
        draft.tokens = [token.lower() for token in draft.tokens]
    elif case < 0.6:
        draft.tokens[0] = draft.tokens[0][0].upper() + draft.tokens[0][1:]
    return True
