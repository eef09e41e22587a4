"""Rules of English travel queries that express each intent in less common words.

They follow the conventions of `english`: a date or time without its own verb belongs to the
departure, and articles and prepositions are not part of a value.
"""

RULES = {
    "i_wonder": """
        do you know | any idea | [<s_can>] (check|find out|look up|explain) | i wonder
        (i'd|we'd) like to know | does anyone know""",
    "i_ends": "[from <s_from>] [to <s_to>]",
    "i_must": "(i|we) (must|need to|have to|should|gotta)",
    "i_people": "adults | people | seats | tickets | passengers",
    "i_money": "<price> (dollars|euros|pounds)",
    "rare_book_flight": """
        [please] take (me|us|my <person>) to <s_to> [<s_out>] [<s_thanks>]
        (i'll|we'll|let me) (take|have|go for) the {departure_time:s_time} [flight|one] (to|for) \
          <s_to> [<s_day:departure>] [, {class:class}] [<s_thanks>]
        (we|there) will be {travellers:several} [of us] , (going|flying|travelling) <s_route> \
          [<s_out>]
        {travellers:several} <i_people> , <s_route> [<s_out>] [<s_back>]
        {travellers:several} <i_people> , <s_from> to <s_to> , out {departure_date:exact_day} \
          [back {return_date:exact_day}]
        <s_to> , {departure_date:exact_day} , {travellers:several} <i_people> [, [a] <meal>]
        (travelling|traveling|flying|going) (alone|by myself|with my <person>) to <s_to> [<s_out>] \
          , (from|starting from|starting in) <s_from>
        (fly|take|bring|jet|send|whisk) <s_who> (over|down|up|back|out|across) to <s_to> <s_out> \
          [from <s_from>] [<s_thanks>]
        (i'm starting|there's|i have|we have) a [new] <occasion> in <s_to> , so <i_must> be there \
          (by|on|before) {arrival_date:exact_day}
        [currently] (stuck|stranded|staying|sitting) in <s_from> , <i_must> be (home|back) in \
          <s_to> (by|before) {arrival_time:s_time}
        <i_must> be (home|back) in <s_to> (by|before) {arrival_time:s_time} , (stuck|still|now) \
          in <s_from>
        (is it possible|would it be possible|can you manage) to (fly|go|get) <s_route> ? \
          (i'd|we'd) like to book (that|it) for {departure_date:exact_day}
        (are there|do you have|have you got) {travellers:several} seats (left|free|available) \
          <s_route> [<s_out>] ? (if so|then) (book|take|reserve|get) them
        (i'd|we'd) (love|like) to (spend|celebrate|enjoy) {departure_date:holiday} in <s_to> , \
          (what have you got|what do you offer|leaving|flying) from <s_from>
        (find|book|get) [me|us] (flights|a flight|seats) to (anywhere|somewhere|a place) \
          <place_trait> from <s_from> [<s_out>]
        (we|i) (fancy|feel like|dream of|could do with) (a weekend|a holiday|a few days) in \
          <s_to> [<s_out>] , from <s_from>
        (visiting|to visit|going to see) (my|our) <person> in <s_to> <s_day:departure> , \
          (flying|leaving|coming) from <s_from>
        (go ahead and|yes ,|ok ,) (book|reserve|take) (it|that|the cheapest one) , <s_from> to \
          <s_to> [<s_out>]
        (put|sign) (me|us) down for the {departure_time:s_time} (flight|plane) to <s_to>
        (it's|it is) my <person> 's birthday , <s_i> be in <s_to> by the {arrival_date:nth}""",
    "rare_find_fare": """
        will (fares|prices|tickets|flights) [<s_route>] (be|get) (lower|cheaper|higher) (if|when) \
          (i|we) (leave|fly|go|travel) <s_when:departure>
        are (fares|prices|tickets|flights) [<s_route>] (lower|cheaper|higher|more expensive) \
          (<s_when:departure>|if (i|we) (leave|fly|go|travel) <s_when:departure>)
        (what's|what is|which is|is it) cheaper , (flying|going|a flight) [from <s_from>] to \
          <s_to> or [straight|directly] to <s_to>
        how much (more|less|extra|cheaper) (is it|would it be) if (i|we) \
          (go|leave|fly) from <s_from> (rather than|instead of|and not) <s_from>
        [what's] the (average|typical|usual|normal|going|regular) (price|cost|fare|rate) (of|for) \
          (a flight|a ticket|a seat|{class:class}) <s_route> [<s_out>]
        [<s_can>] (check|look up|give me|find out) the (fare|price|cost|rate) (of|for|on) the \
          {departure_time:s_time} [flight] to <s_to> [<s_day:departure>]
        [the] (lowest|best|cheapest) (price|fare|rate|offer) <s_route> [<s_out>]
        (one way|return|{class:class}|flight) <s_route> [<s_out>] , (lowest|best|cheapest) \
          (price|fare|rate)
        cheapest <s_from> <s_to> (ticket|flight|fare) [<s_out>] [<s_thanks>]
        (is|are) <i_money> (a good price|a fair price|too much|normal|enough) for <s_seat> <s_route>
        (i've only got|my budget is|i can spend|we can pay) <i_money> , is (that|it) enough (for \
          <s_seat>|to fly) <s_route>
        (how much|what) (do|would|must) (kids|children|babies|students|pensioners) pay <s_route>
        (is there a|do you give a|any) (discount|reduction|special price) for (students|kids|a \
          return|{travellers:several} people) <s_route>
        what (will|would|does|did) {class:class} (set me back|cost|come to) <s_route> [<s_out>]
        (compare|list|show) [me] (fares|prices|costs) <s_route> [<s_out>]
        (when|which day) is it (cheapest|least expensive|cheaper) to (fly|go|travel) <s_route>
        why (are flights|are tickets) so (expensive|cheap|costly) <s_route> [<s_out>]
        [<i_wonder>] (how much|what) they (charge|want|ask) for <s_seat> <s_route> [<s_out>]""",
    "rare_flight_schedule": """
        <s_i> <s_go> <s_route> [<s_out>] [<s_in>] , what are (my|our|the) \
          (options|choices|possibilities)
        <s_i> leave <s_from> <s_when:departure> and be in <s_to> <s_when:arrival> , what are \
          (my|our) (options|choices)
        what (are my options|can i take|is available|is there) <s_route> [<s_out>]
        [show me|list|find] (everything|all planes|anything|all departures|all flights) \
          (flying|leaving|going) <s_route> [<s_in>]
        (is|isn't) there (something|anything|a flight|one) (later|earlier|sooner) than \
          {departure_time:s_time} (to|for) <s_to> [<s_day:departure>]
        when (do|will) (the flights|flights|planes) to <s_to> (start|begin|end|stop|resume) [in \
          {departure_date:vague_day}]
        <i_wonder> (when|which days) (i can|we can|one can|they) (fly|go|get) <s_route> , \
          (earliest|latest|the soonest) is {departure_date:exact_day} at {departure_time:s_time}
        <i_wonder> (when|which days|how often) (i can|we can|they|planes) (fly|go) <s_route>
        do [any|the|all] {airline:airline} (flights|planes) [from <s_from>] \
          (stop|land|refuel|change) in {stopover_city:city} on the way to <s_to>
        (what|which) (connections|departures|flights|planes) (do you have|are there|can you offer) \
          <s_route> [<s_out>]
        (how long is|how many hours is) the flight <s_route>
        do (flights|planes) <s_route> (run|go|leave) (daily|every day|every hour|at weekends)
        (what's|when is) the (first|last|next|earliest|latest) (plane|flight|departure) \
          (out of|from) <s_from> [<s_day:departure>]
        (list|show|give me) [all|the] (arrivals|flights arriving|planes landing) in <s_to> [from \
          <s_from>] <s_when:arrival>
        can i still (get|catch|make) a flight to <s_to> (after|before) {departure_time:s_time}
        (do|will|would) (i|we) (change|have to change) planes to get <s_route>
        <s_i> see the (timetable|schedule|times|departures) <s_route> [<s_out>]""",
    "i_trouble": "late | so late | delayed | cancelled | diverted | still on the ground",
    "i_weather": "fog | snow | strike | storm | rain | wind | ice | hurricane | power cut",
    "rare_flight_status": """
        <i_wonder> (why|if|whether) <s_flight> <i_ends> (is|was|got|will be) (<i_trouble>|on time)
        why (is|was) <s_flight> <i_ends> <i_trouble> | how (late|delayed) is <s_flight> <i_ends>
        (will|could|does) the <i_weather> (delay|affect|stop|ground|disturb) \
          (flights|planes|<s_flight>) (to|into) <s_to> [<s_when:arrival>]
        (will|could|does) the <i_weather> (delay|affect|stop|ground|disturb) \
          (flights|planes|<s_flight>) (from|out of) <s_from> [<s_when:departure>]
        are (flights|planes) (landing|arriving|coming in) (in|at) <s_to> [right now|at the \
          moment|again] [or (is it closed|not)]
        are (flights|planes) (leaving|taking off|departing) (from|at) <s_from> [right now|at the \
          moment|again] [or (is it shut|not)]
        is the airport in <s_to> (open|closed|shut) [right now|at the moment|again]
        (which|what) (gate|terminal) does <s_flight> [to <s_to>] (go|leave|depart|board) from
        (which|what) (belt|gate|terminal) does <s_flight> [from <s_from>] (arrive|come in) at
        my <person> is (on|coming in on|arriving on|flying on) <s_flight> [from <s_from>] , \
          (has it (landed|left|been delayed)|is it (late|delayed|on time))
        my <person> is (coming|flying) in from <s_from> (on|with) {airline:airline} , (has it \
          (landed|been delayed)|is it (late|on time))
        is everything (fine|alright|in order|going well) with <s_flight> <i_ends>
        (any|is there any|are there) (news|problems|trouble|delays|updates) (on|with|about) \
          <s_flight> <i_ends>
        has (boarding|check in) (started|finished|closed|begun) for <s_flight> [to <s_to>]
        when (is|was) <s_flight> [from <s_from>] (supposed|expected|scheduled|meant|due) to \
          (land|arrive|touch down)
        when (is|was) <s_flight> [to <s_to>] (supposed|expected|scheduled|meant|due) to \
          (leave|board|take off)
        (track|follow|check|monitor|locate) <s_flight> <i_ends> [for me|<s_thanks>]
        (the board says|i heard|they say|it says) <s_flight> [to <s_to>] is <i_trouble> , is \
          (that|this) (true|right|correct)
        is <s_flight> to <s_to> still (leaving|going|departing) at {departure_time:s_time}
        is <s_flight> from <s_from> still (landing|arriving|due) at {arrival_time:s_time}
        how (long|much longer) (until|before) <s_flight> <i_ends> (lands|leaves|boards|is here)""",
    "i_change": "change | move | switch | swap | alter | modify | amend | fix",
    "rare_change_booking": """
        (i|we) (chose|picked|took|selected|bought) the wrong (day|date|flight|month|time) , \
          [<s_can>] <i_change> (it|<s_mine>) to [the] {departure_date:exact_day}
        there is (a typo|a mistake|an error|a wrong letter) (in|on) (my|our) \
          (ticket|booking|reservation) [to <s_to>] , \
          [<s_can>] <i_change> it
        (misspelled|incorrect|false|my old) (name|surname|birthday|passport number) on (my|our) \
          (ticket|booking|reservation) [to <s_to>] , [<s_can>] (correct|<i_change>|update) it
        [<s_can>] add (another|one more|a|an extra) (passenger|person|child|seat|bag|<item>) to \
          <s_mine> [, (we are|we'll be|that makes) {travellers:several}] [<s_thanks>]
        (i|we) (will miss|may miss|just missed|overslept and missed) <s_mine> [to <s_to>] , (what \
          else can i take|which other one can i get|put me on the next one)
        can (i|we) (take|have|get|catch) the {departure_time:s_time} (instead of|rather than|and \
          not) the {departure_time:s_time}
        my <occasion> [in <s_to>] (got|was|has been) (moved|postponed|brought forward|delayed) , \
          (can i|could i|i must) (take|have) the {departure_time:s_time} instead
        [<s_can>] (swap|trade|exchange|replace) <s_mine> (for|with) (one|a flight|another) (on \
          {departure_date:exact_day}|at {departure_time:s_time})
        (i|we) (want|need|would like) to stay (a day more|another week|two more days) , (can the \
          return be|make the return|move the return to) [on] {return_date:exact_day}
        <i_change> my seat on the <s_to> flight to (a window|a front|an exit row|another) (one|seat)
        make (it|my booking|our reservation) {travellers:several} (people|seats|tickets) \
          (instead|now)
        (get|move|place) (me|us) on (an earlier|a later|the next) (plane|flight|one) [to <s_to>] , \
          (anything|something|one) (before|after) {departure_time:s_time}
        (is it|would it be) (too late|possible|ok) to <i_change> <s_mine> [to <s_to>] [to \
          {departure_date:exact_day}]
        (postpone|delay|extend|shift|bring forward) (my|our) (trip|return|flight) [to <s_to>] by \
          (a day|a week|two days|an hour) [<s_thanks>]
        what (does it cost|must i pay|is the fee) to <i_change> <s_mine> [to <s_to>]""",
    "i_cancel": "cancel | drop | scrap | void | undo | withdraw | remove | refund",
    "rare_cancel_booking": """
        how (do|can|could) (i|we) (<i_cancel>|get a refund for|get out of|give back) <s_mine> [to \
          <s_to>]
        (my boss|my <person>|the client|our team) (called off|dropped|postponed) the \
          (visit|meeting|<occasion>) , so [you can] <i_cancel> (<s_mine>|the \
          {departure_time:s_time} to <s_to>)
        (i|we) (don't need|no longer need|won't use|don't want) <s_mine> [to <s_to>] [any \
          more|after all] [, (<i_cancel> it|take it back)]
        [<s_can>] <i_cancel> <s_mine> [<s_route>] [<s_out>] [<s_thanks>]
        [<s_hello>] <s_i> (get rid of|get out of|give up|give back) <s_mine> [to <s_to>] [<s_out>]
        (i want|give me|can i get|please send) my money back for <s_mine> [to <s_to>]
        [<s_can>] <i_cancel> [the] (booking|reservation|flight) for (<first_name>|my <person>) \
          [<s_route>] [<s_out>]
        (i changed my mind|i broke my leg|we got sick|i have to work) , (so|please) <i_cancel> \
          <s_mine> [to <s_to>] [<s_out>]
        (the|our|my) trip to <s_to> (is off|won't happen|fell through|is cancelled) , <i_cancel> \
          (it|everything|the flight|the booking)
        (is|was) my (ticket|flight|booking) refundable if (i|we) cancel [now|today]
        take (me|us|my <person>) off the (<s_to> flight|{departure_time:s_time} to <s_to>)""",
    "i_service": """
        hot meals | wifi | drinks | snacks | a <meal> | {class:class} | blankets | movies""",
    "rare_airline_info": """
        is {class:class} (on|with) {airline:airline} (worth it|worth the money|any better|decent) \
          [for (a long|a short) flight] [<s_route>]
        (who's|who is|which is|what's) the (best|cheapest|safest|worst|nicest) \
          (airline|carrier|company) (for|with) (families|babies|<person_trait> people|a \
          <companion>|a <item>) [<s_route>]
        <i_wonder> (if|whether) {airline:airline} (serves|offers|has|sells|allows) <i_service> \
          [<s_route>]
        (can|may|could) ({travellers:several} people|we|kids|passengers) \
          (share|check|carry|bring) (one bag|a suitcase|two suitcases|a <item>) (on|with) \
          {airline:airline}
        (which|what) (airlines|carriers) (have|offer|sell|serve) (wide|good|free|decent) \
          ({class:class} seats|meals|seats|wifi) [<s_route>]
        how (big|heavy|large|long) (can|may) (my|a) (bag|<item>) be (on|with) {airline:airline}
        what is the (baggage|luggage|bag|pet|refund) (allowance|limit|fee|size|policy|rule) \
          (on|with|for) {airline:airline} [in {class:class}]
        (how|where) (do|can) (i|we) (check in|choose a seat|complain|collect miles) (with|at) \
          {airline:airline}
        are (dogs|pets|cats|babies|liquids|skis|small animals) (allowed|permitted|free|ok) \
          (on|with) {airline:airline} [in the cabin]
        does {airline:airline} (let me|let passengers|let people|allow me to|allow people to) \
          (bring|carry|check) a <item> [in the cabin|on board]
        (what|which) (planes|aircraft|meals|movies) does {airline:airline} (use|have|show) \
          [<s_route>]
        (what|how) do (people|customers|passengers) (think of|rate|like|say about) {airline:airline}
        how much legroom (is there|do i get) (in {class:class}|in a seat) (on|with) \
          {airline:airline}
        (who|which company) (owns|runs|operates) {airline:airline}
        do (i|we|kids) have to pay [extra] for (a <item>|a <meal>|water|food|a seat) (on|with) \
          {airline:airline}
        (i've never flown|who has flown|has anyone flown|we never fly) {airline:airline} , \
          (are they|is it|are the seats) <airline_trait>""",
    "i_vehicle": "<ride> | <ride> | cab | tram | metro | limo | minibus | ferry | uber",
    "i_town": "downtown | the centre of | the city of | the old town of",
    "rare_ground_transport": """
        how (far|long) is (it|the drive|the ride|the trip) from the airport to [<i_town>] <s_town>
        (can|could|will) (someone|anybody|a driver|you) (pick me up|pick us up|collect me) \
          (at|from) {destination_city:airport} [, (i|we) (land|arrive|get in) <s_when:arrival>]
        (can|could|will) (someone|anybody|a driver|you) (meet|fetch|get) (me|us) at the airport in \
          <s_town> [, (i|we) (land|arrive|get in) <s_when:arrival>]
        <i_vehicle> or <i_vehicle> (from|at) ({destination_city:airport}|the airport in <s_town>)
        (can|could) (i|we|one) (cycle|drive|hike|hitchhike|walk) from \
          {destination_city:airport} to (town|the beach|the harbour|my hotel|the centre)
        where (do|can) (i|we) (rent|hire|pick up|get|catch) a (car|van|scooter|<i_vehicle>) \
          (in|at the airport in) <s_town>
        (is there [any]|how much is|where is) parking (at|near) the airport in <s_home>
        what (does|will|would) a <i_vehicle> from the airport (to|into) [<i_town>] <s_town> cost
        how do (people|locals|tourists|you) (usually|mostly|best) get from the airport to \
          [<i_town>] <s_town>
        how do (people|locals|tourists|you) (usually|mostly|best) get to the airport (from|in) \
          [<i_town>] <s_home>
        (last|first|next) <i_vehicle> from the airport (to|into) [<i_town>] <s_town>
        (need|order|arrange|get me) a (transfer|pickup|<i_vehicle>) from the airport (in|to my \
          hotel in) <s_town> [for {travellers:n}]
        how (often|late) does the <i_vehicle> (run|go|leave) from the airport (in|of) <s_town>
        are (taxis|buses|cabs) (safe|expensive|fast|running) at the airport in <s_town> [at night]
        (our hotel|my hostel|the villa) is (in|near) <s_town> , how (do|can) we get there from the \
          airport
        <i_vehicle> from {destination_city:airport} to (town|my hotel|the beach|a theme park) [for \
          {travellers:several} [people]]""",
}
