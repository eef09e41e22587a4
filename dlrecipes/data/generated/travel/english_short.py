"""Rules of short English travel queries, as customers type them: names, dates and few verbs.

They follow the conventions of `english`: a date or time without its own verb belongs to the
departure, and articles and prepositions are not part of a value.
"""

RULES = {
    "s_from": "{departure_city:city} | {departure_city:city} | {departure_city:airport}",
    "s_to": """
        {destination_city:city} | {destination_city:city} | {destination_city:city}
        {destination_city:airport} | {destination_city:region}""",
    "s_town": "{destination_city:city}",
    "s_home": "{departure_city:city}",
    "s_near": """
        today | tonight | tomorrow | tomorrow | next (week|month|weekend|summer|spring|year)
        (this|next|coming) (weekend|<weekday>|<short_weekday>)""",
    "s_one_day": "tomorrow | tomorrow | (this|next|coming) (<weekday>|<short_weekday>)",
    "s_day": """
        {$_date:s_near} | {$_date:exact_day}
        [on] {$_date:exact_day} | on {$_date:exact_day} | on a {$_date:weekday}
        (on the|the) {$_date:nth} | on the {$_date:dated} | the {$_date:day_after}
        [sometime] (in|during|over|for) {$_date:vague_day}
        (in|for) the week of {$_date:exact_day} | (at|by) the end of {$_date:month}
        in the ((first|second|third|last) week|(first|second) half) of {$_date:month}""",
    "exact_day": """
        <weekday> | <weekday> | <short_weekday>
        <short_month> <number_day> | <short_month> <nth> | <number_day> <short_month>
        <month> <number_day> | <month> <nth> | <number_day> <month> | <nth> <month>
        <weekday> <number_day> <month> | <weekday> <month> <nth>
        <slash_date> | <nth> | <holiday>""",
    "vague_day": """
        <month> | <month> | <short_month> | (early|mid|late) <month> | (summer|winter|spring|autumn)
        <holiday>""",
    "s_time": """
        <short_hour> | <hour> (am|pm) | <hour> (am|pm) | <minutes> [am|pm] | <late_minutes>
        <hour> o'clock | half past <hour> | quarter (to|past) <hour>
        <spoken_hour> (thirty|fifteen)
        noon | midnight | <hour> in the <day_part> | <ish_hour>""",
    "part_of_day": "morning | afternoon | evening | night | lunchtime",
    "at_time_of_day": "night | lunchtime",
    "s_hours": """
        (at|around|about|after|before|by|from|not before) {$_time:s_time}
        {$_time:s_time} | at {$_time:hour} | after {$_time:hour}
        between {$_time:hour} and {$_time:s_time} | between {$_time:s_time} and {$_time:s_time}
        in the {$_time:day_part} | (early|late) in the {$_time:day_part}
        at {$_time:at_time_of_day}""",
    "s_when": """
        <s_day:$> | <s_day:$> | <s_day:$> <s_hours:$> | <s_hours:$> <s_day:$> | <s_hours:$>
        {$_date:s_one_day} {$_time:part_of_day} | {$_date:exact_day} {$_time:part_of_day}
        [on] {$_date:weekday} {$_time:part_of_day}""",
    "s_route": """
        from <s_from> to <s_to> | <s_from> to <s_to> | <s_from> to <s_to> | <s_from> (-|–|/) <s_to>
        to <s_to> from <s_from> | to <s_to> | to <s_to> | from <s_from> | out of <s_from> to <s_to>
        between <s_from> and <s_to> | from <s_from> into <s_to>
        from <s_from> to <s_to> (via|through|with a stop in|changing in) {stopover_city:city}
        <s_from> to <s_to> via {stopover_city:city}""",
    "s_out": """
        <s_when:departure> | <s_when:departure> | , <s_when:departure>
        [,] (leaving|departing|starting|out|going) <s_when:departure>
        [,] (i|we) (can|could|want to|have to) (leave|go|start) <s_when:departure>""",
    "s_back": """
        [,] (back|return|returning|coming back|and back|and return|flying back) <s_day:return>
        [,] return flight <s_day:return> | - {return_date:exact_day} | to {return_date:exact_day}
        [,] (i|we) come back <s_day:return>""",
    "s_in": """
        [,] (arriving|landing|getting in|getting there|there) <s_when:arrival>
        [,] (that|which) (arrives|lands|gets in|gets there|is there) <s_when:arrival>
        [,] (i|we) (need to|must|have to|should) be there <s_when:arrival>
        [,] (arrive|land) no later than {arrival_time:s_time} [<s_day:arrival>]""",
    "s_with": """
        [,] (on|with) {airline:airline} | [,] {airline:airline} | [,] {class:class}
        [,] (in|flying) {class:class} | [,] (we'd|i'd) (like|prefer|rather take) {airline:airline}
        [,] (in) {class:class} if (possible|there is any) | [,] preferably {airline:airline}""",
    "s_party": """
        for {travellers:n} | for {travellers:several} (people|adults|persons|kids|students|guests)
        [,] {travellers:several} (people|adults|passengers|pax|persons|travellers)
        [,] for the {travellers:several} of us | [,] {travellers:several} of us
        [,] we are {travellers:several} | for a (family|group|party) of {travellers:several}
        [,] me and {travellers:several} friends""",
    "s_aside": """
        [,] (one way|round trip|roundtrip|direct|nonstop|hand luggage only|flexible|no stops|asap)
        [,] (i am|i'm|we're) not (picky|in a hurry) | [,] aisle seat | [,] cheapest one
        <s_remark> | <s_remark> | <s_remark>""",
    "s_remark": """
        [,] (with|plus|and) (a|my|our) [<item_trait>] <item> | [,] (no|without a|without my) <item>
        [,] (i've got|we have|i have) (a|my|our) [<item_trait>] <item> [with (me|us)]
        [,] (it's|it is|this is|that's) (for|because of|about) (a|my|our|the) [<occasion_trait>] \
          <occasion>
        [,] (i've got|we have|there is) a [<occasion_trait>] <occasion> there
        [,] my <companion> is [a bit|very|so|too] <person_trait> | [,] as a <role>
        [,] (i am|we are|i'm) [a bit|very|so|too] <person_trait> | [,] (i have|with) a <ailment>
        [,] (our|my|the) <place> is [very|so] <place_trait> | [,] [and] [a|with a] <meal>
        , the <occasion> (starts|ends|begins) (early|late|then|on time)
        , (anything|something|somewhere) <place_trait> [and <place_trait>]
        [,] (flexible|early|late|cheap|quiet) (dates|seats|meals|times)""",
    "s_opening": """
        (i've got|i have|there's|we have) a [<occasion_trait>] <occasion> [in <s_to>] , so
        my <companion> (has|needs) a [<occasion_trait>] <occasion> [in <s_to>] , so
        (my|our|the) <companion> (is|was|got) [very|so] <person_trait> , so
        (my|our|the) <place> (is|was|got) [very|too|so] <place_trait> , so | as a <role> [,]
        (i lost|we forgot|i sold|i am bringing|he wants) (my|a|the|his) <item> , (so|but|and)
        for (my|a|our|the) <occasion> [,]
        (sorry|listen|well) , (i'm|i am|we are) [a bit|so] <person_trait> , but
        (i have|my <companion> has) a <ailment> , so""",
    "s_extra": "<s_with> | <s_party> | <s_aside> | <s_party> <s_with> | <s_with> <s_aside>",
    "s_hello": """
        hi | hey | hello | hi there | hey there , | good (morning|evening|afternoon) , | morning ,
        sorry to bother you , | quick question , | ok so | yo | excuse me , | dear team ,""",
    "s_thanks": "please | pls | , please | thanks | thx | , thank you | , cheers | if you can",
    "s_can": """
        (can|could|would|will) (you|u) [please] | please | kindly | is it possible to | can (i|we)
        i'd like you to | help me""",
    "s_who": "me | us | my (wife|husband|son|mum|dad|team|boss|parents) | the kids",
    "s_i": """
        (i|we) (want|need|would like|have|plan|wish|hope) to
        (i am|we are) (hoping|planning) to | (i'd|we'd) (like|love|prefer) to
        (i|we) (wanna|gotta|must|should)
        (i'm|we're) (looking|trying|going|planning|hoping) to | looking to | trying to
        my (wife|husband|sister|mum|boss|girlfriend) and i (want|need|would like) to""",
    "s_go": "go | fly | travel | get | head | take a plane | get a flight | take a trip",
    "s_seat": """
        a (flight|ticket|seat|plane) | a (cheap|direct|nonstop|quick|last minute) (flight|ticket)
        flights | tickets | [a] {class:class} (ticket|seat|flight)
        {travellers:several} (tickets|seats|tix)
        something | anything | a plane ticket | a one way ticket | a {airline:airline} flight
        the (first|next|cheapest) flight | the {departure_time:s_time} [flight]""",
    "s_find": "book | find | get | reserve | buy | order | arrange | grab | look for | search for",
    "s_trip": """
        <s_route> [<s_out>] [<s_extra>] | <s_route> [<s_out>] [<s_extra>]
        <s_route> <s_out> <s_back>
        <s_route> <s_in> [<s_extra>] | <s_route> [<s_extra>] <s_out> | <s_route> <s_out> <s_in>
        [<s_out>] <s_route> [<s_extra>] | <s_route> <s_party> <s_out> <s_back>
        (one way|round trip|roundtrip|return|direct|nonstop) <s_route> [<s_out>] [<s_back>]""",
    "short_book_flight": """
        <s_opening> <s_i> <s_go> <s_trip> [<s_thanks>]
        <s_opening> <s_i> be in <s_to> <s_when:arrival>
        <s_opening> [<s_can>] <s_find> [<s_who>] <s_seat> <s_trip>
        [<s_hello>] [[<s_i>] <s_go>] <s_trip> [<s_thanks>]
        [<s_hello>] (need|want|looking for|need to book|would like|after) <s_seat> <s_trip> \
          [<s_thanks>]
        [<s_hello>] [<s_can>] <s_find> [<s_who>] <s_seat> <s_trip> [<s_thanks>]
        [<s_hello>] (get|put|fly|bring|send|take) <s_who> [on <s_seat>] <s_trip> [<s_thanks>]
        <s_i> <s_go> <s_trip> | <s_i> be in <s_to> <s_when:arrival> [, <s_i> leave <s_from>]
        <s_i> (be|get) (home|back) in <s_to> (by|before|on) {arrival_date:exact_day} \
          [{arrival_time:part_of_day}]
        [<s_hello>] <s_i> (go|fly|travel) to <s_to> , (i live|i'm|we're|we live) in <s_from>
        <s_from> <s_to> <s_day:departure> [<s_day:return>] [<s_party>] [<s_extra>]
        (depart|leave|dep) <s_from> <s_when:departure> (arrive|arr) <s_to> [<s_when:arrival>]
        [<s_hello>] <s_i> travel <s_route> <s_out> [<s_in>] [<s_extra>]""",
    "s_price": """
        how much is <s_seat> | how much (are|for) <s_seat>
        (price|prices|cost|fare|fares) for <s_seat>
        what's the (price|cheapest fare|best price|fare) for <s_seat>
        how much does it cost to <s_go>
        how (expensive|cheap) is it to <s_go> | what would it cost [me|us] to <s_go> | how much
        cheapest (way to get|ticket|flight|fare|seats)
        (any|got any|do you have) (deals|discounts|offers)
        what do you charge for <s_seat> | what does <s_seat> cost | price of <s_seat>
        quote me <s_seat>
        what is a (ticket|flight) | cheap (flights|tickets) | ticket prices | is it cheaper to \
          fly""",
    "short_find_fare": """
        <s_opening> <s_price> <s_trip>
        [<s_hello>] [<s_can>] <s_price> <s_trip> [<s_thanks>]
        [<s_hello>] <s_price> <s_route> [<s_out>] [<s_back>]
        <s_price> <s_trip> | how much is {class:class} <s_route> [<s_out>] [<s_with>]
        <s_from> <s_to> <s_day:departure> [<s_back>] how much [is it|would that be]
        (anything|something|flights) under <price> (dollars|euros|pounds) <s_route> [<s_out>]""",
    "s_plane": "<s_connection> | <s_planes>",
    "s_connection": """
        the (first|last|next|earliest|latest|fastest) (flight|plane|connection)
        a direct flight | something | anything | an overnight flight""",
    "s_planes": """
        flights | [any] nonstops | any (flights|planes) | {airline:airline} flights | connections
        the {departure_time:part_of_day} flights""",
    "short_flight_schedule": """
        <s_opening> (is there <s_connection>|are there <s_planes>) <s_trip>
        [<s_hello>] (when|what time) is <s_connection> <s_route> [<s_out>] [<s_thanks>]
        (what time|when) (does <s_connection>|do <s_planes>) (leave|go|depart) [from] <s_from> \
          [for <s_to>] [<s_when:departure>]
        (what time|when) (does <s_connection>|do <s_planes>) (land|arrive|get in) [in|to] <s_to> \
          [<s_when:arrival>]
        (is there <s_connection>|are there <s_planes>) <s_trip> | <s_plane> <s_trip> ?
        (show|list|give) [me] <s_plane> <s_trip>
        do you [still|ever] (fly|go) <s_route> <s_out>
        how (often|many times a day) (do you|does {airline:airline}) (fly|go) <s_route> [<s_out>]
        how many flights [a day] (are there|do you have) <s_route> [<s_out>]
        (which|what) (days|times) (can i|do you) (fly|go|get a flight) <s_route>
        (what|which) (flights|planes) (get|arrive|come) (in|into) <s_to> <s_when:arrival> [from \
          <s_from>]
        can (i|we) (get|fly) <s_route> <s_out>
        (flight times|timetable|schedule) <s_route> [<s_out>]""",
    "s_flight": """
        [the|my|our] [{airline:airline}] flight | the plane | {airline:airline} <flight_number>
        flight <flight_number> | the {departure_time:s_time} [flight] | the {airline:airline} one
        the <s_to> flight""",
    "short_flight_status": """
        [<s_hello>] (is|was) <s_flight> [from <s_from>] [to <s_to>] (on \
          time|late|delayed|cancelled|ok)
        has <s_flight> [from <s_from>] [to <s_to>] (landed|left|departed|boarded|taken off) \
          [yet|already]
        (status|track|gate|delay) [of|for] <s_flight> [from <s_from>] [to <s_to>] [<s_thanks>]
        (where|what gate) is <s_flight> [from <s_from>] [to <s_to>] [right now|at the moment]
        when (is|will) <s_flight> [from <s_from>] (land|landing|arrive|due) [in <s_to>] \
          [today|exactly]
        did <s_flight> (to <s_to>|from <s_from>) (leave|land|take off) [already]""",
    "s_mine": """
        my (flight|ticket|booking|reservation|trip|seat) | our (flights|tickets|booking|trip)
        my {departure_time:s_time} [flight] | my {departure_date:exact_day} flight
        my {airline:airline} (ticket|flight) | the {departure_time:part_of_day} flight
        my {class:class} (seat|ticket) | all {travellers:several} tickets | my <s_to> (flight|trip)
        my {departure_time:s_time} (booking|departure)
        my {departure_date:exact_day} (booking|trip)""",
    "short_change_booking": """
        <s_opening> [<s_can>] (change|move|switch|rebook) <s_mine> [to the \
          {departure_date:exact_day}]
        [<s_hello>] [<s_can>] (change|move|switch|swap|push|reschedule|rebook) <s_mine> \
          [<s_route>] , <s_i> <s_go> <s_out>
        [<s_hello>] [<s_can>] (change|move|switch|push) <s_mine> [to <s_to>] to [the] \
          {departure_date:exact_day} [<s_thanks>]
        [<s_can>] (change|move) <s_mine> from {departure_date:exact_day} to \
          {departure_date:exact_day}
        [<s_can>] (change|move|switch) <s_mine> to {departure_time:s_time} [<s_day:departure>]
        (i'd|we'd) (rather|prefer to) (fly|leave|go) <s_when:departure> , <s_can> (change|move) \
          <s_mine>
        [<s_can>] (move|switch|change) (me|us) to {class:class} [on <s_mine>] [to <s_to>] \
          [<s_thanks>]
        [<s_can>] (upgrade|move) (me|us|<s_mine>) [<s_route>] to {class:class} [<s_thanks>]
        [<s_can>] (put|get) (me|us) on (an earlier|a later|another|a different) flight to <s_to> \
          [<s_out>]
        [<s_can>] (change|move|push) (my|our|the) return [flight] to {return_date:exact_day} \
          [<s_thanks>]""",
    "short_cancel_booking": """
        <s_opening> [<s_can>] (cancel|drop|refund) <s_mine> [to <s_to>] [<s_out>]
        [<s_hello>] [<s_can>] (cancel|drop|refund|delete|call off) <s_mine> [<s_route>] [<s_out>] \
          [<s_thanks>]
        [<s_hello>] <s_i> (cancel|call off|get rid of) <s_mine> [<s_route>] [<s_out>]
        [<s_can>] cancel (everything|the booking|it all) for {departure_date:exact_day} [<s_thanks>]
        (i|we) (can't|cannot|won't|don't want to) (go|fly|travel) [to <s_to>] [<s_day:departure>] \
          , cancel <s_mine>
        (not|no longer|we are not|i am not) (going|flying) to <s_to> [<s_day:departure>] , \
          [please] (cancel|refund)""",
    "short_airline_info": """
        (can|may|could) (i|we) (bring|take|carry|check in) (a|my) [<item_trait>] <item> (on|with) \
          {airline:airline}
        does {airline:airline} (allow|take|charge for) (a|any|my) [<item_trait>] <item>
        (is the (food|crew|wifi|staff|cabin)|are the (seats|planes|meals)) (on|with) \
          {airline:airline} <airline_trait>
        does {airline:airline} (have|sell|offer) (a|any) <meal>
        (does|do|will) {airline:airline} [still] (fly|go) <s_route>
        (who|which airline) flies <s_route>
        (which|what) (airlines|carriers) (go|fly|have flights) [direct|nonstop] <s_route>
        (is|are) {airline:airline} [really|very] <airline_trait>
        does {airline:airline} (serve|have|offer) (food|meals|wifi|{class:class}|movies) [<s_route>]
        (what's|how is|how's) {class:class} (on|with) {airline:airline} [like]
        tell me about {class:class} (on|with) {airline:airline}
        (what|which) airlines (leave|fly|operate) (from|out of) <s_from>
        tell me about {airline:airline}
        does {airline:airline} (operate|fly) (from|out of) <s_from>""",
    "short_ground_transport": """
        we have a [<item_trait>] <item> , is there a [cheap|big] <ride> from the airport in <s_town>
        (how (do i|can we|to)|what's the best way to) get (from the airport|downtown|to the city) \
          in <s_town>
        is there (a|any) <ride> from {destination_city:airport} (into town|to the centre|at \
          night)
        (<ride>|cab|uber|train) from {destination_city:airport} [to downtown <s_town>] [for \
          {travellers:several} [people]]
        how much is a (cab|taxi|uber|<ride>) (from the airport|into town) in <s_town> [for \
          {travellers:n}]
        [<s_hello>] (i|we) (land|arrive|get in|touch down) (in|at) <s_to> <s_when:arrival> , (is \
          there|where is) a <ride>
        (landing|arriving) (in|at) <s_to> <s_when:arrival> , (any|are there) (buses|trains|taxis)
        is there (a|any) <ride> to the airport in <s_home> <s_when:departure>
        (what|which) (bus|train) (goes|runs) from the airport to [the centre of] <s_town>""",
}
