import{A as e,J as t,m as n,n as r,u as i,v as a}from"./index-DwQyMl0A.js";import{r as o,s}from"./format-CaYCMVai.js";import{a as c}from"./colors-zHe_wEsg.js";import{t as l}from"./SendSpans-C0J9rGcc.js";function u({range:t}){let o={...a(t),limit:1},{data:c}=s(`/api/v1/services`,{query:o,workspace:r()});return c?.services.length?n(i,{title:`There are spans, but nothing counts them`,children:[n(`p`,{children:[`Rates, errors and durations are counted on the way in. Put these into the pipeline in `,n(`code`,{children:`collector.yaml`}),`:`]}),n(`pre`,{children:[`processors:`,`
`,`  red_metrics:`,`
`,`  topology:`,`

`,`service:`,`
`,`  pipelines:`,`
`,`    traces:`,`
`,`      processors: [red_metrics, topology, batch]`]}),n(`p`,{children:[`Until then, `,n(`a`,{href:e(`/search`),children:`search the traces`}),`.`]})]}):n(i,{title:`No service has sent spans in this time range`,children:[n(`p`,{children:`Choose a longer time range above, or send spans.`}),n(l,{})]})}function d({name:r}){return n(t,{children:[n(`span`,{class:`dot`,style:{background:c(r)}}),` `,r?n(`a`,{class:`name`,href:e(`/services/${encodeURIComponent(r)}`),children:r}):o(r)]})}export{u as n,d as t};