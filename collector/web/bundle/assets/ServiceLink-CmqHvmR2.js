import{D as e,G as t,j as n,n as r,s as i,y as a}from"./index-BU3mL-0H.js";import{a as o}from"./format-CO9SOqrL.js";import{a as s}from"./colors-zHe_wEsg.js";import{t as c}from"./SendSpans-DC6B224E.js";function l({range:t}){let s={...i(t),limit:1},{data:l}=o(`/api/v1/services`,{query:s,workspace:r()});return l?.services.length?n(e,{title:`There are spans, but nothing counts them`,children:[n(`p`,{children:[`Rates, errors and durations are counted on the way in. Put these into the pipeline in `,n(`code`,{children:`collector.yaml`}),`:`]}),n(`pre`,{children:[`processors:`,`
`,`  red_metrics:`,`
`,`  topology:`,`

`,`service:`,`
`,`  pipelines:`,`
`,`    traces:`,`
`,`      processors: [red_metrics, topology, batch]`]}),n(`p`,{children:[`Until then, `,n(`a`,{href:a(`/search`),children:`search the traces`}),`.`]})]}):n(e,{title:`No service has sent spans in this time range`,children:[n(`p`,{children:`Choose a longer time range above, or send spans.`}),n(c,{})]})}function u({name:e}){return n(t,{children:[n(`span`,{class:`dot`,style:{background:s(e)}}),` `,e?n(`a`,{href:a(`/services/${encodeURIComponent(e)}`),children:e}):`(no name)`]})}export{l as n,u as t};