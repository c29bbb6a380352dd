import{K as e,M as t,O as n,b as r,n as i,s as a}from"./index-BRxJsp9Z.js";import{o,r as s}from"./format-ATOgiimR.js";import{a as c}from"./colors-zHe_wEsg.js";import{t as l}from"./SendSpans-DBHeY20W.js";function u({range:e}){let s={...a(e),limit:1},{data:c}=o(`/api/v1/services`,{query:s,workspace:i()});return c?.services.length?t(n,{title:`There are spans, but nothing counts them`,children:[t(`p`,{children:[`Rates, errors and durations are counted on the way in. Put these into the pipeline in `,t(`code`,{children:`collector.yaml`}),`:`]}),t(`pre`,{children:[`processors:`,`
`,`  red_metrics:`,`
`,`  topology:`,`

`,`service:`,`
`,`  pipelines:`,`
`,`    traces:`,`
`,`      processors: [red_metrics, topology, batch]`]}),t(`p`,{children:[`Until then, `,t(`a`,{href:r(`/search`),children:`search the traces`}),`.`]})]}):t(n,{title:`No service has sent spans in this time range`,children:[t(`p`,{children:`Choose a longer time range above, or send spans.`}),t(l,{})]})}function d({name:n}){return t(e,{children:[t(`span`,{class:`dot`,style:{background:c(n)}}),` `,n?t(`a`,{class:`name`,href:r(`/services/${encodeURIComponent(n)}`),children:n}):s(n)]})}export{u as n,d as t};