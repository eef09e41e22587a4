"""English requests and remarks without a travel intent; each split has templates of its
own."""

from dlrecipes.data.generated.travel.grammar import Words

# Half of them mention what travel queries do: cities, days, times, numbers, names, "book".
RULES = {
    "other_train": """
        (how is|how's) the weather [in <city>] [today|<weekday>]
        (will|does) it (rain|snow) [in <city>] (today|tomorrow|on <weekday>|this weekend)
        [what is] the (weather|temperature) forecast for <city> [<weekday>|tomorrow]
        (is it|was it) (cold|hot|sunny|windy|foggy) [in <city>] [today|now|outside]
        do i need (an umbrella|a coat|sunglasses) (today|on <weekday>|in <city>)
        set (a timer|an alarm|the alarm) (for|to) (<hour> minutes|<hour> am|<minutes>|half past \
          <hour>)
        wake me [up] at (<hour>|<minutes>|<short_hour>) [tomorrow|on <weekday>]
        remind me (to <chore>|of the <event>) (at <hour>|on <weekday>|tomorrow|<day_part>)
        [please] (play|put on) [some|a little] (<music>|<song>) [in the <room>|louder|again]
        (turn|switch) (on|off) the (<device>|heating|radio) [in the <room>] [at <hour>]
        (make it|turn it) (warmer|louder|quieter|brighter) [in the <room>]
        (tell|read) me a (story|poem|riddle|fairy tale) [about <person>|about a <animal>]
        (make me laugh|say something funny|entertain me)
        (who|which president) (invented|discovered|wrote|composed|directed) <work>
        (when|where) was (<work>|<celebrity>) (made|born|written)
        (how old|how rich|how tall) is (<celebrity>|the pope|your <person>)
        what is the (capital|population|currency|language|president|flag) of <country>
        how (big|deep|old|far away|heavy) is (the moon|<country>|the ocean|a <animal>|<city>)
        how do (you|i) (cook|make|bake|fry) <food> [for <n>]
        (recipe|recipes) for <food> [please] | what goes well with <food>
        [can i] order (<food>|a <food>) [with <food>] [for <n>]
        (reserve|find|get) (a table|a restaurant) (for <n>|in <city>|near me) [at <hour>|on \
          <weekday>]
        i (feel like|am craving|would love) <food> | is there a good <shop> (near here|in <city>)
        where is the (nearest|next|best) <shop> | when does the <shop> (open|close) [on <weekday>]
        what is <n> (plus|minus|times|divided by) <n> | how much is <n> percent of <price>
        convert <price> (euros|pounds|dollars|miles|degrees) (to|into) \
          (yen|kilometres|fahrenheit|francs)
        (what does|how do you pronounce) <hard_word> [mean] [in english]
        (translate|say) <phrase> (to|in|into) (spanish|french|german|dutch|chinese|polish)
        (hi|hello|hey|good morning|good evening|good day) (there|everyone|again|to you|, my \
          friend|<first_name>)
        (how are you|how is it going|what's up|how was your day) [today|<first_name>]
        (nice|good|pleased) to meet you [<first_name>|too] | my name is <first_name>
        (bye|goodbye|see you|good evening|take care) [later|tomorrow|<first_name>|for now]
        (thanks|thank you|cheers|many thanks) [a lot|so much|for your help|<first_name>|anyway]
        (yes|no|ok|okay|sure|great|fine|never mind|alright|perfect|maybe) \
          [please|thanks|then|that works]
        (are you|is this) (a robot|a machine|human|an assistant|a computer|alive|chinese)
        (what can you|what do you|can you) (do|like|eat|sing|dream about) [for me]
        (who|what) (made|built|trained|are) you | do you (sleep|have feelings|have a <person>)
        i (am|feel|was) (bored|sad|happy|hungry|lonely|angry|sick|excited) [today|again]
        my <person> (lost|bought|broke|sold) (a|his|her|the) (<device>|bike|house|<animal>)
        my (<device>|car|phone|printer) (is broken|makes a noise|is too slow|has no battery)
        how (do|can) i (fix|clean|repair|charge|reset) (my|a|the) (<device>|car|bike|shoes)
        i (forgot|need to change|can't find) my (password|keys|email|pin|glasses|address)
        (send|write) (a message|a letter|an email|a text) to (<first_name>|my <person>) [on \
          <weekday>]
        (call|text|email|ring) (<first_name>|my <person>|the doctor) [at <hour>|now|please]
        (what|which) (day|date|year) is it [today] | is <weekday> a holiday
        what (is|was) the (score|result) of the (game|final|<event>) [on <weekday>]
        (did|will) (<city>|<country>) (win|lose) the (final|cup|match|game) [on <weekday>]
        (is there|show me) (news|anything new) (about|from) (<country>|<city>|the elections)
        what is on (tv|the radio|at the cinema) [at <hour>|on <weekday>]
        (suggest|pick) a (film|show|game)
        add (<food>|<n> <food>) to (my|the) (list|cart|basket) | (buy|get) <n> <food> and <food>
        (put|add|delete) the <event> (in|to|from) my (calendar|diary) [on <weekday>|at <hour>]
        (is|am) i (free|busy) (on <weekday>|at <hour>|tomorrow)
        what is on my (calendar|agenda) [<weekday>]
        (read|open|close|find) (my|the) (mail|door|garage|notes|curtains|file) [please]
        (cancel|stop|pause|delete) the (alarm|timer|music|meeting|subscription|<event>)
        change the (channel|colour|volume|language|subject|battery) [to <n>|please]
        book (an appointment|a haircut|a massage|the dentist) [for <weekday>|at <hour>|with \
          <first_name>]
        how much (is|does) (a <device>|<food>|a haircut|the rent) [in <city>|cost|these days]
        (should i|can i) (learn|study|try|start) (python|guitar|yoga|maths|<hobby>) [this year]
        what do you think (of|about) (<hobby>|<food>|<country>|my <person>|politics)
        i (love|hate|like|enjoy|miss) (<hobby>|<food>|<city>|my <person>|<music>) [so much]
        (why is|why are) (the sky blue|dogs loyal|bananas yellow|<animals> so cute|you so slow)
        (tell me|give me) (a fact|something interesting|advice) [about \
          (<animals>|<country>|<hobby>)]
        (happy birthday|congratulations|merry christmas|good luck) [<first_name>|to you|my friend]
        the <person> of <first_name> (lives|works) in <city>
        <first_name> (moved|grew up) in <city>
        (help|sorry|wait|repeat that|say that again|i don't understand) [please]
        you are (stupid|great|so kind|useless|wrong|funny)
        that (is|was) (wrong|right|helpful|rude)
        (flip a coin|roll a dice|pick a number) [between <n> and <n>] | count to <n>
        (do|does) (<animals>|a <animal>) (sleep|eat <food>|swim|bite) [at night]
        (i want|we need) (a|to buy a) (<device>|<animal>|house|sofa|bike) [for <price> dollars]
        is there (a doctor|a <shop>|parking|wifi) (here|nearby|in the <room>) [open]
        what time (is it|does the <shop> close|is dinner|is the <event>) [now|today|on <weekday>]
        (the|my) <event> (was|went) (great|terrible|too long|well) [yesterday]
        (arrange|plan|organize) (a|the) (<event>|<occasion>) (with|for) <first_name> [on \
          <weekday>|at <hour>]
        (postpone|reschedule|push) the <event> [with <first_name>] to (<weekday>|<month> \
          <nth>|<hour> pm)
        (reserve|rent|order|book) (a|the) (<item>|<event> room|court|projector) [for \
          <weekday>|for <n> people]
        (cancel|change|switch) my (gym|phone|newspaper|internet) \
          (membership|contract|subscription|plan)
        (change|update|correct) my (address|name|email|picture|signature|nickname) [please|to \
          <first_name>]
        (where|when|why) did (<first_name>|my <person>|you) (buy|lose|find|hide) the <item>
        (the|this|my) <item> (is|looks|was) [very|too|so] <item_trait> [today|again]
        (the|this|my) <place> (is|looks|was) [very|too|so] <place_trait> [today|again]
        (my|the) <companion> (is|looks|was) [very|too|so] <person_trait> [today|again]
        (do you have|have you seen|can i borrow) (a|my|the) [<item_trait>] <item>
        how (many|much) <animals> (live|are there) (in|on) (<city>|<country>|the farm)
        (what|which) (river|mountain|museum|team|newspaper|dish) is (famous|popular|best) in \
          (<city>|<country>)
        (i was|she was|are they) (born|raised|married) in (<city>|<country>) [in <month>]
        (<city>|<country>) is (<place_trait>|a <place_trait> (place|city|country)) [isn't it]
        (what|how) (is|about) your (name|favourite colour|age|opinion|job) [<first_name>]
        (show|find|open) (the|my) (photos|pictures|documents|notes) (of <city>|from <month>|about \
          the <event>)
        (start|stop|pause) (recording|the vacuum|my workout|counting|the dishwasher) [at <hour>|now]
        how long (does|is) (the <event>|<food>|a <occasion>) [take|last] [on <weekday>]
        (who|whose) (is|was) (the tallest|the oldest|the richest) (man|king|player) (in \
          <country>|ever)
        what (rhymes|goes) with (<animal>|<weekday>|<city>) | spell <city>
        (<first_name>|my <person>) (arrives|comes over|is visiting|calls) (on <weekday>|at \
          <hour>|tomorrow)
        (we|they) (played|danced|ate|talked) (until midnight|in the <room>|on <weekday>)
        (i need|give me) (some|more) (time|money|sleep|space|advice|help) [with my <item>|please]
        (lock|check|unlock|paint) the (door|car|garage|<place>) [in the <day_part>]
        (is|was) the (meeting|train|bus|concert|game) (boring|fun|crowded) [yesterday]
        are <animals> (smarter|faster|bigger) than <animals> | (can|do) <animals> (swim|fly|talk)
        (which|what) <shop> is (open|good|cheap) in <city> [on <weekday>|at <hour>]
        the best <food> [i ever ate] (is|was) in <city>
        (he|she|my <person>) lived in <city> for <n> years
        (did|does) it (snow|rain|freeze) in <city> (on <weekday>|in <month>|every year)
        (he|she|<first_name>) (works|studied|got married|has a house) in <city> [since <month>|now]
        (is|was) <city> (a big city|founded by romans|larger than <city>|a capital) [in <price>]
        who is the (mayor|bishop|governor|coach) of <city> | the history of (<city>|<country>)
        (concerts|exhibitions|markets|museums|films) in <city> (on <weekday>|this weekend|in \
          <month>)
        the <event> (is|begins|was) at (<minutes>|<hour> pm|noon) on (<weekday>|<month> <nth>)
        (dinner|lunch|breakfast|practice) (is|will be|was) at (<hour>|<minutes>) [on <weekday>]
        (meet|visit|ask|tell) (<first_name>|my <person>) (at <hour>|on <weekday>|in <city>) \
          [about the <event>]
        (people|children|<animals>) from (<city>|<country>) (like|eat|love|hate) <food>
        (my <person>|<first_name>) comes from (<city>|<country>)
        i (study|live alone|work) in <city>
        (<n> and|<n> minus|half of) <n> (is|makes|are) (<n>|what)
        how much is <price> (squared|in roman numerals)
        (buy|order|sell|wrap) (<n>|a|some) <food> [for <weekday>|from the <shop>]
        (<song>|this singer|that band) is (my favourite|<place_trait>) | turn up the (volume|bass)
        my <device> (stopped|froze|overheats|beeps) [again|since <weekday>|on <weekday>]
        how (hot|high|wet|sunny|dry) (is|was) it in (<city>|<country>) [in <month>|on <weekday>]
        (recommend|name|describe) (a|your favourite) (novel|author|band|recipe|board game|painter)
        (which|what) (book|film|album|podcast) (should i|do you) (read|watch|recommend|like) [next]
        (my <person>|<first_name>) (had|got) a (cold|promotion|puppy|new haircut) [on <weekday>]
        how many (people|doctors|schools|students) (are there|live|work) in <city>
        (i am|i'm) so (tired|bored|full|cold|proud) (of this|of you|tonight|again|lately)
        (calculate|compute|what's) <n> (percent|%) of <price> | round <price> to <n> digits
        (is|where is) (my|the) (package|parcel|pizza|laundry|order) (here|ready|now) [yet]
        (track|return|collect) my (package|parcel|order|letter) (from the <shop>|on <weekday>)
        (cancel|move|confirm) my (dentist|doctor|hair|piano|tennis) (appointment|lesson) [on \
          <weekday>|at <hour>]
        when is (my|the next) (driving|piano|yoga|swimming) (lesson|class|exam) [on <weekday>]
        (i|we) (flew|went|drove|moved) to (<city>|<country>) (last year|as a child|years ago)
        (our|my) (holiday|weekend|honeymoon|life) in <city> was <place_trait>
        my flight simulator (crashed|is boring|is fun) | i am afraid of flying | planes are noisy
        (find|recommend) [me] a (gardener|electrician|vet|piano teacher) (in|near) <city>
        what (is|was) the price of (gold|milk|petrol|a stamp|a <device>) [today|in <month>]
        (where|when) did (i|we) (leave|put|buy|see) (my|the) (keys|glasses|<device>|wallet|umbrella)
        how (wide|old|long|deep) is (the nile|the colosseum|the grand canyon|the golden gate bridge)
        how old is the (king|prime minister|prince) of <country>
        (read|summarize|print) (this|the) (article|email|page|chapter) [to me|aloud]
        (draw|paint|sketch) (a|me a) <animal> [with a <item>]
        (is|was) the (earth|universe|moon) (flat|round|expanding|made of cheese)
        what's the (purpose|point|history) of (art|money|dreams|work|<hobby>)
        did anyone (call|text|visit) me [today|on <weekday>|at <hour>]
        (explain|define) (gravity|inflation|democracy|photosynthesis|<hard_word>) [to me]
        (let's|can we) (chat|play a game|start over|be friends) [<first_name>]
        my (back|head|tooth|knee) (hurts|aches|is sore) [again|since <weekday>]
        (how|where) (do|can) i (vote|donate blood|volunteer|go skating) (in|near) <city>
        (lower|raise|mute|check) the (volume|brightness|temperature) [to <n>]
        (shut|wipe|clean) the (window|fridge|curtains|drawer|blinds) [please|in the <room>]
        is (tea|sugar|coffee|sleep|<food>) (good|bad) for (me|<animals>|children)
        the (traffic|air|food|noise) in <city> (is|was) (terrible|lovely|awful) [today]
        (who|what) is (singing|knocking|calling|making that noise) | who (wrote|painted|sang) <work>
        [sorry but|well] (i was only|i am just|we are just) (joking|testing|looking|asking)
        (make sure|help me remember) (i|that i|to) <chore> [on <weekday>|at <hour>|tomorrow]
        (were you|are you) (asleep|serious|sure|real|from <country>|older than <celebrity>)
        (where are you|what city are you) from | do you live in (<city>|<country>)
        (not today|not yet|never|probably|i doubt it|no idea|nothing|forget it) [, <first_name>]
        (<n> times <n>|<n> plus <n>|<n> minus <n>|twice <n>) (makes what|equals what|and <n>)
        (latest|breaking|local) news [(from|in|about) (<country>|<city>)]
        my <device> (needs charging|lost its signal|is full|keeps beeping|turned itself off)
        (is|was) there (an election|a festival|snow) in (<country>|<city>) [in <month>]
        lorem ipsum | test | (asdf|blah blah|hmm|lol|wow|oops) [<first_name>|ok]""",
    "other_validation": """
        (what's|tell me) the temperature [outside|in <city>] [right now]
        how (warm|cold) will it get [in <city>] (on <weekday>|tonight|tomorrow)
        start a <hour> minute (timer|countdown) | snooze [the alarm]
        don't let me forget (to <chore>|the <event>) [on <weekday>]
        (skip|repeat) this (song|track) | who sings <song>
        (dim|close) the (lights|blinds) [in the <room>]
        know any good (jokes|stories|riddles) [about <animals>]
        (which|what) language do they speak in (<country>|<city>)
        who was the first (man|woman) (on the moon|to win <work>)
        how long (should|do) i (boil|roast|bake) <food> | is <food> (healthy|vegan)
        i'd like (<food>|a <food>) and <food> [to go|, please]
        square root of <price> | <n> times <n>
        what is the (opposite|plural|meaning) of <hard_word>
        (hiya|howdy|greetings|good to see you) [<first_name>]
        (talk to you later|i have to go|catch you later) [, bye]
        (that's great|awesome|sounds good|not really|i don't know|whatever) [, thanks]
        are you (listening|married|smarter than <celebrity>|from <city>)
        i (can't sleep|have a headache|don't feel well|got a new job) [today]
        my <device> (keeps crashing|won't connect|fell into the water)
        (leave|record) a voice message for (<first_name>|my <person>)
        who (won|scored) (in|against) (<city>|<country>) [last night]
        (any|what are the) headlines (from <country>|today)
        move the <event> (in my calendar) to <weekday>
        schedule a <event> with <first_name> at <hour>
        make an appointment at the <shop> [for <weekday>] [at <hour>]
        (where|how) can i (rent a flat|learn <hobby>|buy a <device>) in <city>
        which is better , <food> or <food> | recommend a (podcast|museum|gym) [in <city>]""",
    "other_test": """
        (is|will) the sun (shining|be out) [in <city>] [on <weekday>|tomorrow]
        any chance of (rain|snow|a storm) [in <city>] (this evening|on <weekday>)
        how many minutes until (noon|<hour> o'clock|the <event>)
        (note|write down) that i have to <chore> [on <weekday>]
        (shuffle|stop) my (playlist|music|workout mix) | what song is this
        is the (oven|<device>|front door) (on|locked|running)
        (cheer me up|surprise me) [, <first_name>]
        (name|list) (three|five) (cities|rivers|animals|actors) (in <country>|of <country>)
        what happened in (<number_day> bc|nineteen ninety|the year <price>)
        (can you|can i) freeze <food> | how many calories (are in|does) <food> [have]
        (deliver|bring) me <n> <food> [to the office]
        what's <price> divided by <n> | is <n> a prime number
        how do i write <hard_word> | give me a synonym for <hard_word>
        (yo|what is new|long time no see|welcome back) [<first_name>|mate]
        (have a nice day|see you soon|i am off to bed) [<first_name>]
        (no thanks|of course|absolutely|i guess so|not now|got it) [, thank you]
        (do you|can you) (know <celebrity>|speak (french|chinese|german)|get tired|keep a secret)
        i (broke up with my <person>|passed the exam|am getting old|need a hug)
        the <device> (in the <room>) (leaks|smells|is dead)
        (phone|video call) (my <person>|<first_name>) [and say hello]
        is (<city>|<country>) (still in the cup|playing <weekday>)
        how are the (stocks|markets|elections) doing [in <country>]
        when is (my|the) next <event> | who is coming to the <event> [on <weekday>]
        find me a (babysitter|mechanic|tailor|tutor) [for <weekday>|in <city>]
        what's a good (gift|present) for (my <person>|<first_name>) [under <price> dollars]
        how much (rent|tax) do people pay in <city> | i used to live in <city>""",
}

WORDS = {
    "chore": Words(
        """water the plants, feed the cat, take out the trash, buy milk, pay the rent, call
        grandma, do the laundry, pick up the kids, clean the kitchen, take my pills, walk the
        dog"""
    ),
    "music": Words(
        """jazz, rock, classical music, reggae, techno, piano music, folk songs, the radio"""
    ),
    "song": Words("purple rain, bohemian rhapsody, let it go, jingle bells, imagine"),
    "room": Words("kitchen, bedroom, living room, bathroom, hall, office, garden"),
    "device": Words(
        """lamp, laptop, tv, fridge, washing machine, camera, heater, fan, toaster, phone"""
    ),
    "animal": Words("cat, dog, elephant, horse, dolphin, parrot, spider, rabbit, cow, penguin"),
    "animals": Words("cats, dogs, elephants, horses, dolphins, parrots, spiders, cows, penguins"),
    "work": Words(
        """the telephone, penicillin, hamlet, the light bulb, star wars, the magic flute, the
        internet, the nobel prize, war and peace, the eiffel tower, gravity"""
    ),
    "celebrity": Words("einstein, mozart, madonna, elvis, napoleon, cleopatra, picasso, messi"),
    "country": Words(
        """france, brazil, japan, kenya, canada, norway, india, mexico, italy, china, kenya,
        spain"""
    ),
    "food": Words(
        """pizza, rice, pancakes, sushi, a burger, apple pie, tomato soup, lasagne, noodles, salad,
        fried eggs, cheese, tea, coffee, ice cream, bread, potatoes, chicken, dumplings"""
    ),
    "shop": Words(
        """pharmacy, bakery, supermarket, bank, library, dentist, gym, museum, cafe, post office"""
    ),
    "hard_word": Words(
        """serendipity, entrepreneur, rhythm, onomatopoeia, quay, colonel, schadenfreude"""
    ),
    "phrase": Words(
        """good luck, thank you, where is the toilet, i love you, cheers, see you tomorrow"""
    ),
    "hobby": Words("football, chess, painting, gardening, running, photography, cooking, history"),
}
